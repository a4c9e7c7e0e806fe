-- Functions of one connection. Each takes the lock of the appends first, so that what it looks at stays true until it has acted.
CREATE FUNCTION pg_temp.drop_rows(statement text) RETURNS bigint LANGUAGE plpgsql AS $body$
DECLARE
    dropped bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    EXECUTE statement;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END
$body$;

-- The names of documents that occur in a text: 64 hexadecimal digits that stand alone. Bytes that are no ASCII are taken out of a
-- document first; the escapes of their places hold digits, which must not touch a name.
CREATE FUNCTION pg_temp.named(data bytea) RETURNS SETOF bytea LANGUAGE sql AS $body$
    SELECT decode(found[1], 'hex')
      FROM regexp_matches(regexp_replace(encode(data, 'escape'), '\\(\\|[0-7]{{3}})', '|', 'g'),
                          '(?<![0-9a-f])([0-9a-f]{{64}})(?![0-9a-f])', 'g') AS found
$body$;

CREATE FUNCTION pg_temp.collect(candidates bytea[], past bigint, OUT documents bigint, OUT bytes bigint)
LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    WITH RECURSIVE wanted (digest) AS (
        SELECT name FROM stored_events e, pg_temp.named(e.state) AS name WHERE e.notification_id > past
        UNION
        SELECT name FROM wanted w JOIN contents c ON c.digest = w.digest, pg_temp.named(c.data) AS name),
    erased AS (
        DELETE FROM contents WHERE digest = ANY (candidates) AND digest NOT IN (SELECT w.digest FROM wanted w)
        RETURNING length(data) AS size)
    SELECT count(*), coalesce(sum(size), 0) INTO documents, bytes FROM erased;
END
$body$;

CREATE FUNCTION pg_temp.forget(gone text, its_stream text, its_version bigint, dry_run boolean) RETURNS bigint
LANGUAGE plpgsql AS $body$
DECLARE
    pairs bigint;
    open_pairs bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    IF its_version <> (SELECT coalesce(max(originator_version), 0) FROM stored_events WHERE originator_id = its_stream) THEN
        RETURN 0;
    END IF;
    SELECT count(*), count(*) FILTER (WHERE c.n <> coalesce(a.mark, 0)) INTO pairs, open_pairs
      FROM counters c LEFT JOIN applied a ON a.receiver = c.receiver AND a.sender = c.sender WHERE c.sender = gone;
    IF open_pairs > 0 THEN
        RETURN 0;
    END IF;
    IF NOT dry_run THEN
        DELETE FROM outbox WHERE sender = gone;
        DELETE FROM counters WHERE sender = gone;
        DELETE FROM applied WHERE sender = gone;
    END IF;
    RETURN pairs;
END
$body$;
