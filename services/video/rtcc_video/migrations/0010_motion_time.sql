-- The hourly search for minutes without footage reads the blocks of one week, and not the whole of the table: minutes come in their order.

create index footage_motion_minute on footage_motion using brin (minute);
