-- purpose: let the former values that loads replaced end where the loads begin to be known
-- parameters: load_ids
update bar_revision
set valid_to = load.loaded_at
from load
where load.load_id = any(%s) and bar_revision.replaced_by = load.load_id
