-- What is let go by age is found without reading the tables.
create index delivery_written on delivery (written_at);
create index shared_alert_closed on shared_alert (shared_at) where not is_open;
