-- purpose: the versions of an extension that the server can create
select version from pg_available_extension_versions where name = %s order by version
