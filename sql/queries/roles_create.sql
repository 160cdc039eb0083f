-- purpose: make a role that stands for a group, unless somebody else does so at this moment
-- parameters: role
do $$
begin
    create role {role} nologin;
exception when duplicate_object or unique_violation then
    null;
end
$$
