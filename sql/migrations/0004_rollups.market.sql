-- The derived intervals of one market, each on the widest finer one it can stand on.
select hypertape.create_rollup({name_5m}, {name_1m}, interval '5 minutes', interval '7 days');
select hypertape.create_rollup({name_15m}, {name_5m}, interval '15 minutes', interval '7 days');
select hypertape.create_rollup({name_30m}, {name_15m}, interval '30 minutes', interval '7 days');
select hypertape.create_rollup({name_1w}, {name_1d}, interval '7 days', interval '90 days');
select hypertape.create_rollup({name_2w}, {name_1w}, interval '14 days', interval '90 days');
select hypertape.create_rollup({name_1mo}, {name_1d}, interval '1 month', interval '1 year');
