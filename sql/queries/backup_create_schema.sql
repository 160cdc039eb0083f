-- purpose: make the schema that an extension is created in
create schema if not exists {schema}
