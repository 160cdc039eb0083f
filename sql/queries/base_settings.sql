-- purpose: whether the server archives its log, and whether it summarizes it
select current_setting('archive_mode') <> 'off', coalesce(current_setting('summarize_wal', true), 'off') = 'on'
