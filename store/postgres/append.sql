-- One batch of appends as one server-side call: when it returns, all that was accepted is committed. No lock of it ever waits for a
-- client, so a client that is frozen, killed or cut off holds up nobody.
--
-- Requests of a batch touch different streams and different messages (the writer sees to it), so that each can be judged by what is
-- stored alone. Arrays that belong together have the same length; *_req says which request (1, 2, …) an element belongs to.
--
-- codes: per request 0 accepted, 1 fenced, 2 at another version, 3 applied before. fences, versions and seen say what was found: per
-- request, per stream, per received message. numbers: those given to the outgoing messages, NULL for those of a refused request.
CREATE FUNCTION {name}(
    w_name text, w_batch bigint,
    r_writer text[], r_epoch bigint[], r_claim boolean[],
    v_req int[], v_stream text[], v_expected bigint[], v_open boolean[],
    e_req int[], e_stream text[], e_version bigint[], e_topic text[], e_state bytea[],
    a_req int[], a_receiver text[], a_sender text[], a_number bigint[],
    o_req int[], o_sender text[], o_receiver text[], o_value bytea[],
    c_req int[], c_digest bytea[], c_data bytea[],
    s_req int[], s_stream text[], s_version bigint[], s_state bytea[],
    trim_senders text[],
    OUT head bigint, OUT codes int[], OUT fences bigint[], OUT versions bigint[], OUT seen boolean[], OUT numbers bigint[])
LANGUAGE plpgsql AS $body$
DECLARE
    given_up boolean;
    refused boolean;
    pair record;
    reached bigint;
    beyond bigint[];
BEGIN
    -- One append at a time: positions in the log rise in the order of the commits, and what is checked stays true until it is written.
    PERFORM pg_advisory_xact_lock({lock});
    -- All checks in one statement: to begin and end a statement costs more than most of them do.
    SELECT EXISTS (SELECT FROM commits c WHERE c.writer = w_name AND c.batch >= w_batch),
           coalesce((SELECT notification_id FROM stored_events ORDER BY notification_id DESC LIMIT 1), 0),
           (SELECT array_agg(CASE WHEN r.epoch <> coalesce(f.epoch, 0) + r.claim::int THEN 1 ELSE 0 END ORDER BY r.i)
              FROM unnest(r_writer, r_epoch, r_claim) WITH ORDINALITY AS r (writer, epoch, claim, i)
              LEFT JOIN fences f ON f.agent = r.writer),
           (SELECT array_agg(d.receiver IS NOT NULL ORDER BY a.i)
              FROM unnest(a_receiver, a_sender, a_number) WITH ORDINALITY AS a (receiver, sender, number, i)
              LEFT JOIN applied d ON d.receiver = a.receiver AND d.sender = a.sender AND (a.number <= d.mark OR a.number = ANY (d.above))),
           (SELECT array_agg(coalesce(last.version, 0) ORDER BY v.i)
              FROM unnest(v_stream) WITH ORDINALITY AS v (stream, i)
              LEFT JOIN LATERAL (
                  SELECT originator_version AS version FROM stored_events WHERE originator_id = v.stream
                  ORDER BY originator_version DESC LIMIT 1) AS last ON true)
      INTO given_up, head, codes, seen, versions;
    IF given_up THEN
        RAISE EXCEPTION 'batch % of % was given up', w_batch, w_name USING ERRCODE = '{given_up}';
    END IF;
    IF true = ANY (seen) THEN
        FOR i IN 1 .. cardinality(seen) LOOP
            IF seen[i] AND codes[a_req[i]] = 0 THEN codes[a_req[i]] := 3; END IF;
        END LOOP;
    END IF;
    IF versions <> v_expected THEN
        FOR i IN 1 .. cardinality(versions) LOOP
            IF versions[i] <> v_expected[i] AND codes[v_req[i]] = 0 THEN codes[v_req[i]] := 2; END IF;
        END LOOP;
    END IF;
    refused := 0 < ANY (codes);
    IF refused THEN
        SELECT array_agg(coalesce(f.epoch, 0) ORDER BY r.i) INTO fences
          FROM unnest(r_writer) WITH ORDINALITY AS r (writer, i) LEFT JOIN fences f ON f.agent = r.writer;
    ELSE
        seen := NULL;
        versions := NULL;
    END IF;

    IF true = ANY (r_claim) THEN
        INSERT INTO fences SELECT r.writer, r.epoch FROM unnest(r_writer, r_epoch, r_claim) WITH ORDINALITY AS r (writer, epoch, claim, i)
         WHERE r.claim AND codes[r.i] = 0 ON CONFLICT (agent) DO UPDATE SET epoch = excluded.epoch;
    END IF;

    IF e_req <> '{{}}' THEN
        INSERT INTO stored_events (notification_id, originator_id, originator_version, topic, state)
        SELECT head + row_number() OVER (ORDER BY e.i), e.stream, e.version, e.topic, e.state
          FROM unnest(e_req, e_stream, e_version, e_topic, e_state) WITH ORDINALITY AS e (req, stream, version, topic, state, i)
         WHERE codes[e.req] = 0;
    END IF;

    IF true = ANY (v_open) THEN
        INSERT INTO open_streams SELECT v.stream, r_writer[v.req] FROM unnest(v_req, v_stream, v_open) AS v (req, stream, open)
         WHERE v.open AND codes[v.req] = 0 ON CONFLICT (stream) DO UPDATE SET owner = excluded.owner WHERE open_streams.owner <> excluded.owner;
    END IF;
    IF false = ANY (v_open) THEN
        DELETE FROM open_streams o USING unnest(v_req, v_stream, v_open) AS v (req, stream, open)
         WHERE o.stream = v.stream AND NOT v.open AND codes[v.req] = 0;
    END IF;

    FOR pair IN
        SELECT a.receiver, a.sender, min(a.number) AS first, max(a.number) AS last, array_agg(a.number ORDER BY a.number) AS added,
               (SELECT d.mark FROM applied d WHERE d.receiver = a.receiver AND d.sender = a.sender) AS mark,
               (SELECT d.above FROM applied d WHERE d.receiver = a.receiver AND d.sender = a.sender) AS above
          FROM unnest(a_req, a_receiver, a_sender, a_number) AS a (req, receiver, sender, number)
         WHERE codes[a.req] = 0 GROUP BY 1, 2
    LOOP
        reached := coalesce(pair.mark, 0);
        beyond := '{{}}';
        IF coalesce(pair.above, '{{}}') = '{{}}' AND pair.first = reached + 1 AND pair.last = reached + cardinality(pair.added) THEN
            reached := pair.last;  -- in order and without a hole, as nearly always
        ELSE
            SELECT array_agg(x ORDER BY x) INTO beyond FROM unnest(pair.above || pair.added) AS x;
            IF beyond[1] = reached + 1 THEN
                -- The consecutive numbers at the front move the mark.
                SELECT max(x) INTO reached FROM unnest(beyond) WITH ORDINALITY AS u (x, i) WHERE x = reached + i;
                SELECT coalesce(array_agg(x ORDER BY x), '{{}}') INTO beyond FROM unnest(beyond) AS x WHERE x > reached;
            END IF;
        END IF;
        IF pair.mark IS NULL THEN
            INSERT INTO applied VALUES (pair.receiver, pair.sender, reached, beyond);
        ELSE
            UPDATE applied SET mark = reached, above = beyond WHERE receiver = pair.receiver AND sender = pair.sender;
        END IF;
    END LOOP;

    IF o_req <> '{{}}' THEN
        WITH sent AS (
            SELECT o.sender, o.receiver, o.value, o.i,
                   coalesce(c.n, 0) + row_number() OVER (PARTITION BY o.sender, o.receiver ORDER BY o.i) AS n
              FROM unnest(o_req, o_sender, o_receiver, o_value) WITH ORDINALITY AS o (req, sender, receiver, value, i)
              LEFT JOIN counters c ON c.sender = o.sender AND c.receiver = o.receiver
             WHERE codes[o.req] = 0),
        kept AS (INSERT INTO outbox SELECT sent.sender, sent.receiver, sent.n, sent.value FROM sent),
        counted AS (
            INSERT INTO counters SELECT sent.sender, sent.receiver, max(sent.n) FROM sent GROUP BY 1, 2
            ON CONFLICT (sender, receiver) DO UPDATE SET n = excluded.n)
        SELECT array_agg(sent.n ORDER BY u.i) INTO numbers FROM generate_subscripts(o_req, 1) AS u (i) LEFT JOIN sent ON sent.i = u.i;
    END IF;

    IF c_req <> '{{}}' THEN
        INSERT INTO contents SELECT c.digest, c.data FROM unnest(c_req, c_digest, c_data) AS c (req, digest, data)
         WHERE codes[c.req] = 0 ON CONFLICT DO NOTHING;
    END IF;
    IF s_req <> '{{}}' THEN
        INSERT INTO snapshots (originator_id, originator_version, topic, state)
        SELECT DISTINCT ON (s.stream, s.version) s.stream, s.version, 'snapshot', s.state
          FROM unnest(s_req, s_stream, s_version, s_state) WITH ORDINALITY AS s (req, stream, version, state, i)
         WHERE codes[s.req] = 0 ORDER BY s.stream, s.version, s.i DESC
            ON CONFLICT (originator_id, originator_version) DO UPDATE SET state = excluded.state;
        DELETE FROM snapshots o USING unnest(s_req, s_stream) AS s (req, stream)
         WHERE codes[s.req] = 0 AND o.originator_id = s.stream AND EXISTS (
             SELECT FROM snapshots n WHERE n.originator_id = o.originator_id AND n.originator_version > o.originator_version);
    END IF;
    IF trim_senders <> '{{}}' THEN
        DELETE FROM outbox o USING applied d
         WHERE o.sender = ANY (trim_senders) AND d.sender = o.sender AND d.receiver = o.receiver AND o.n <= d.mark;
    END IF;

    -- The answer is kept until the writer's next batch: where it is lost on its way, the writer asks for it (see the function above).
    INSERT INTO commits VALUES (w_name, w_batch, head, codes, fences, versions, seen, numbers)
        ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, head = excluded.head, codes = excluded.codes,
            fences = excluded.fences, versions = excluded.versions, seen = excluded.seen, numbers = excluded.numbers;
END
$body$;
