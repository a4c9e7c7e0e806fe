-- What became of a batch whose answer was lost: its answer, where it was committed; else no row, and it will never be: a call that is
-- still on its way is refused.
CREATE FUNCTION {name}(w_name text, w_batch bigint) RETURNS SETOF commits LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    RETURN QUERY SELECT * FROM commits c WHERE c.writer = w_name AND c.batch = w_batch AND c.codes IS NOT NULL;
    IF NOT FOUND THEN
        INSERT INTO commits (writer, batch) VALUES (w_name, w_batch)
            ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, codes = NULL;
    END IF;
END
$body$;
