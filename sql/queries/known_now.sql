-- purpose: an instant with nothing under way: every load known at it is committed, and none will ever be known before it
-- parameters: none
select known_now()
