-- purpose: let the writer act as the owner where it asks for that, which refreshing rollups does, and never unasked
-- parameters: owner, writer
grant {owner} to {writer} with inherit false
