-- `stored_events` and `snapshots` have the columns of the eventsourcing library. What the other tables hold: store/schema.py.
-- Texts are compared by their bytes (COLLATE "C"), as SQLite and Python do. Small tables whose rows change all the time leave room in
-- their pages, so that a new version of a row needs no new index entries.
CREATE TABLE meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE stored_events (
    notification_id bigint NOT NULL,
    originator_id text COLLATE "C" NOT NULL, originator_version bigint NOT NULL, topic text NOT NULL, state bytea NOT NULL);
CREATE UNIQUE INDEX stored_events_log ON stored_events (notification_id);
CREATE UNIQUE INDEX stored_events_stream ON stored_events (originator_id, originator_version);
CREATE TABLE snapshots (
    originator_id text COLLATE "C", originator_version bigint, topic text NOT NULL, state bytea NOT NULL,
    PRIMARY KEY (originator_id, originator_version));
CREATE TABLE fences (agent text COLLATE "C" PRIMARY KEY, epoch bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE applied (
    receiver text COLLATE "C", sender text COLLATE "C", mark bigint NOT NULL, above bigint[] NOT NULL,
    PRIMARY KEY (receiver, sender)) WITH (fillfactor = 30);
CREATE TABLE counters (
    sender text COLLATE "C", receiver text COLLATE "C", n bigint NOT NULL, PRIMARY KEY (sender, receiver)) WITH (fillfactor = 30);
CREATE TABLE outbox (
    sender text COLLATE "C", receiver text COLLATE "C", n bigint, value bytea NOT NULL, PRIMARY KEY (sender, receiver, n));
CREATE TABLE open_streams (stream text COLLATE "C" PRIMARY KEY, owner text NOT NULL);
CREATE TABLE contents (digest bytea PRIMARY KEY, data bytea NOT NULL);
CREATE TABLE commits (
    writer text COLLATE "C" PRIMARY KEY, batch bigint NOT NULL,
    head bigint, codes int[], fences bigint[], versions bigint[], seen boolean[], numbers bigint[]) WITH (fillfactor = 30);
