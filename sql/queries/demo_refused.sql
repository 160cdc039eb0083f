-- purpose: refused rows by relation and rule
select market || ' ' || interval as relation, rule, count(*)::int
from quarantine
group by 1, 2
order by 1, 2
