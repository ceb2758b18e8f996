-- 0001_jobs.sql - the job store.
--
-- A job's facts are written once, in job, and never updated: a change of state must not touch the page with the
-- payload. Its state is which ONE of ready, scheduled, running, finished holds its id. Times are integer microseconds
-- since 1970, UTC. Look at it through the views jobs, attempts and queues at the end.

CREATE TABLE spool(                     -- one row: ids are given from here, so that none is ever used twice
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  next_job     INTEGER NOT NULL,
  next_owner   INTEGER NOT NULL,
  log_restarts INTEGER NOT NULL         -- changed to make SQLite begin its write-ahead log anew
) STRICT;
INSERT INTO spool VALUES (1, 1, 1, 0);

CREATE TABLE queue(
  id        INTEGER PRIMARY KEY,
  name      TEXT NOT NULL UNIQUE,
  paused_at INTEGER                     -- NULL: not paused
) STRICT;

-- The jobs of one kind in one queue. Workers take from the lanes that they can handle, so that a claim never filters.
-- The counters are kept in the transaction that moves the rows that they count.
CREATE TABLE lane(
  id        INTEGER PRIMARY KEY,
  queue     INTEGER NOT NULL REFERENCES queue(id),
  kind      TEXT    NOT NULL,           -- '' for commands
  ready     INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0),
  scheduled INTEGER NOT NULL DEFAULT 0 CHECK (scheduled >= 0),   -- not started yet
  retrying  INTEGER NOT NULL DEFAULT 0 CHECK (retrying >= 0),    -- scheduled after an attempt
  running   INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
  done      INTEGER NOT NULL DEFAULT 0 CHECK (done >= 0),
  dead      INTEGER NOT NULL DEFAULT 0 CHECK (dead >= 0),
  cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
  UNIQUE (queue, kind)
) STRICT;

CREATE TABLE environment(
  id        INTEGER PRIMARY KEY,
  digest    INTEGER NOT NULL,           -- FNV-1a of variables: finds candidates, the bytes decide
  variables BLOB    NOT NULL            -- NAME=value, each ended by NUL
) STRICT;
CREATE INDEX environment_digest ON environment(digest);

CREATE TABLE place(                     -- where a command runs
  id          INTEGER PRIMARY KEY,
  environment INTEGER NOT NULL REFERENCES environment(id),
  cwd         TEXT    NOT NULL,
  UNIQUE (environment, cwd)
) STRICT;

CREATE TABLE job(
  id          INTEGER PRIMARY KEY,
  lane        INTEGER NOT NULL REFERENCES lane(id),
  priority    INTEGER NOT NULL,         -- smaller first
  put_at      INTEGER NOT NULL,
  retries     INTEGER NOT NULL,         -- failures that are forgiven
  place       INTEGER REFERENCES place(id),
  backoff_min INTEGER,                  -- microseconds; NULL: the defaults
  backoff_max INTEGER,
  timeout     INTEGER,                  -- microseconds; NULL: none
  name        TEXT,
  command     TEXT,                     -- the words, quoted as a POSIX shell needs them; NULL: a typed job
  body        ANY                       -- TEXT: JSON arguments; BLOB: bytes
) STRICT;

-- attempt is the number of the last start, failures how many ended badly, deaths how many killed their consumer
-- one after the other.
CREATE TABLE ready(
  lane     INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  id       INTEGER NOT NULL,
  attempt  INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  deaths   INTEGER NOT NULL,
  PRIMARY KEY (lane, priority, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE scheduled(
  due      INTEGER NOT NULL,
  id       INTEGER NOT NULL UNIQUE,
  lane     INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  attempt  INTEGER NOT NULL,            -- above 0: shown as retrying
  failures INTEGER NOT NULL,
  deaths   INTEGER NOT NULL,
  PRIMARY KEY (due, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE running(
  id       INTEGER PRIMARY KEY,
  lane     INTEGER NOT NULL,
  owner    INTEGER NOT NULL,
  attempt  INTEGER NOT NULL,            -- (id, attempt, owner) is the fence
  failures INTEGER NOT NULL,
  deaths   INTEGER NOT NULL,
  started  INTEGER NOT NULL
) STRICT;

CREATE TABLE cancellation(              -- running jobs that somebody wants stopped; nearly always empty
  id      INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL,
  signal  INTEGER NOT NULL,
  grace   INTEGER NOT NULL              -- microseconds from the signal to SIGKILL
) STRICT;

CREATE TABLE finished(                  -- carries the last attempt's record: most jobs have only one
  id        INTEGER PRIMARY KEY,
  lane      INTEGER NOT NULL,
  outcome   INTEGER NOT NULL CHECK (outcome BETWEEN 1 AND 3),   -- 1 done, 2 dead, 3 cancelled
  attempt   INTEGER NOT NULL,
  failures  INTEGER NOT NULL,
  finished  INTEGER NOT NULL,
  verdict   INTEGER,                    -- as attempt.verdict; NULL: it ended without running
  owner     INTEGER,
  pid       INTEGER,
  started   INTEGER,
  exit      INTEGER,
  signal    INTEGER,
  user_us   INTEGER,
  system_us INTEGER,
  rss_kib   INTEGER,
  error     TEXT
) STRICT;
CREATE INDEX finished_badly ON finished(outcome, id) WHERE outcome <> 1;

CREATE TABLE attempt(                   -- the attempts before the last one of finished, and of jobs that will run again
  job       INTEGER NOT NULL,
  attempt   INTEGER NOT NULL,
  verdict   INTEGER NOT NULL,           -- 1 done, 2 failed, 3 timed out, 4 cancelled, 5 released, 6 consumer died, 7 worker lost
  owner     INTEGER NOT NULL,
  pid       INTEGER,
  started   INTEGER NOT NULL,
  ended     INTEGER NOT NULL,
  exit      INTEGER,
  signal    INTEGER,
  user_us   INTEGER,
  system_us INTEGER,
  rss_kib   INTEGER,
  error     TEXT,
  PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE owner(                     -- a process that claims; alive while it holds its byte of the file live
  id        INTEGER PRIMARY KEY,
  name      TEXT    NOT NULL,           -- host:pid, or as --name says
  pid       INTEGER NOT NULL,
  consumers INTEGER NOT NULL,
  queues    TEXT    NOT NULL,           -- as given with -q; '' for all
  started   INTEGER NOT NULL,
  ended     INTEGER
) STRICT;
CREATE INDEX owner_alive ON owner(id) WHERE ended IS NULL;

-- What a person looks at.
CREATE VIEW jobs AS
SELECT j.id,
  CASE WHEN r.id IS NOT NULL THEN 'running' WHEN y.id IS NOT NULL THEN 'ready'
       WHEN s.id IS NOT NULL THEN CASE WHEN s.attempt > 0 THEN 'retrying' ELSE 'scheduled' END
       WHEN f.outcome = 1 THEN 'done' WHEN f.outcome = 2 THEN 'dead' ELSE 'cancelled' END AS state,
  q.name AS queue, nullif(l.kind, '') AS kind, j.name, j.priority,
  coalesce(r.attempt, y.attempt, s.attempt, f.attempt) AS attempt,
  coalesce(j.command, l.kind) AS command, j.body,
  strftime('%Y-%m-%d %H:%M:%f', j.put_at / 1e6, 'unixepoch') AS put_at,
  strftime('%Y-%m-%d %H:%M:%f', s.due / 1e6, 'unixepoch') AS due,
  strftime('%Y-%m-%d %H:%M:%f', coalesce(r.started, f.started) / 1e6, 'unixepoch') AS started,
  strftime('%Y-%m-%d %H:%M:%f', f.finished / 1e6, 'unixepoch') AS finished,
  f.exit, f.signal, f.error
FROM job j JOIN lane l ON l.id = j.lane JOIN queue q ON q.id = l.queue
  LEFT JOIN running r ON r.id = j.id
  LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
  LEFT JOIN scheduled s ON s.id = j.id
  LEFT JOIN finished f ON f.id = j.id;

CREATE VIEW attempts AS
WITH every(job, attempt, verdict, owner, pid, started, ended, exit, signal, user_us, system_us, rss_kib, error) AS (
  SELECT job, attempt, verdict, owner, pid, started, ended, exit, signal, user_us, system_us, rss_kib, error FROM attempt
  UNION ALL
  SELECT id, attempt, verdict, owner, pid, started, finished, exit, signal, user_us, system_us, rss_kib, error
  FROM finished WHERE verdict IS NOT NULL
  UNION ALL
  SELECT id, attempt, 0, owner, NULL, started, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM running)
SELECT e.job, e.attempt,
  CASE e.verdict WHEN 0 THEN 'running' WHEN 1 THEN 'done' WHEN 2 THEN 'failed' WHEN 3 THEN 'timed out'
    WHEN 4 THEN 'cancelled' WHEN 5 THEN 'released' WHEN 6 THEN 'consumer died' ELSE 'worker lost' END AS outcome,
  o.name AS worker, e.pid,
  strftime('%Y-%m-%d %H:%M:%f', e.started / 1e6, 'unixepoch') AS started,
  strftime('%Y-%m-%d %H:%M:%f', e.ended / 1e6, 'unixepoch') AS ended,
  e.exit, e.signal, e.user_us / 1e6 AS user_s, e.system_us / 1e6 AS system_s, e.rss_kib, e.error
FROM every e LEFT JOIN owner o ON o.id = e.owner;

CREATE VIEW queues AS
SELECT q.name, sum(l.ready) AS ready, sum(l.scheduled) AS scheduled, sum(l.retrying) AS retrying,
  sum(l.running) AS running, sum(l.done) AS done,
  sum(l.dead) AS dead, sum(l.cancelled) AS cancelled,
  strftime('%Y-%m-%d %H:%M:%f', q.paused_at / 1e6, 'unixepoch') AS paused_since
FROM queue q LEFT JOIN lane l ON l.queue = q.id GROUP BY q.id;

-- INSERT INTO jobs(queue, command) VALUES ('mail', 'echo hello'): the command is shell text, as after spool put -c.
CREATE TRIGGER jobs_put INSTEAD OF INSERT ON jobs BEGIN
  SELECT RAISE(ABORT, 'give a command or a kind: INSERT INTO jobs(queue, command) VALUES (''mail'', ''echo hello'')')
    WHERE new.command IS NULL AND new.kind IS NULL;
  INSERT OR IGNORE INTO queue(name) VALUES (coalesce(new.queue, 'default'));
  INSERT OR IGNORE INTO lane(queue, kind)
    SELECT id, coalesce(new.kind, '') FROM queue WHERE name = coalesce(new.queue, 'default');
  INSERT INTO job(id, lane, priority, put_at, retries, name, command, body)
    SELECT s.next_job, l.id, coalesce(new.priority, 1024), CAST((julianday('now') - 2440587.5) * 86400e6 AS INTEGER), 0, new.name,
      CASE WHEN new.kind IS NULL THEN 'sh -c ''' || replace(new.command, '''', '''\''''') || '''' END, new.body
    FROM spool s JOIN queue q ON q.name = coalesce(new.queue, 'default')
      JOIN lane l ON l.queue = q.id AND l.kind = coalesce(new.kind, '');
  INSERT INTO ready SELECT j.lane, j.priority, j.id, 0, 0, 0 FROM job j, spool s WHERE j.id = s.next_job;
  UPDATE lane SET ready = ready + 1 WHERE id = (SELECT j.lane FROM job j, spool s WHERE j.id = s.next_job);
  UPDATE spool SET next_job = next_job + 1;
END;

-- UPDATE jobs SET state = 'ready' WHERE id = 5
CREATE TRIGGER jobs_retry INSTEAD OF UPDATE OF state ON jobs WHEN new.state = 'ready' AND old.state <> 'ready' BEGIN
  SELECT RAISE(ABORT, 'the job is running: cancel it first (UPDATE jobs SET state = ''cancelled'' ...)')
    WHERE old.state = 'running';
  INSERT INTO attempt SELECT id, attempt, verdict, owner, pid, started, finished, exit, signal, user_us, system_us, rss_kib, error
    FROM finished WHERE id = old.id AND verdict IS NOT NULL;
  UPDATE lane SET ready = ready + 1, scheduled = scheduled - (old.state = 'scheduled'), retrying = retrying - (old.state = 'retrying'),
    done = done - (old.state = 'done'), dead = dead - (old.state = 'dead'), cancelled = cancelled - (old.state = 'cancelled')
    WHERE id = (SELECT lane FROM job WHERE id = old.id);
  INSERT INTO ready SELECT lane, priority, id, old.attempt, 0, 0 FROM job WHERE id = old.id;
  DELETE FROM scheduled WHERE id = old.id;
  DELETE FROM finished WHERE id = old.id;
END;

-- UPDATE jobs SET state = 'cancelled' WHERE id = 5
CREATE TRIGGER jobs_cancel INSTEAD OF UPDATE OF state ON jobs WHEN new.state = 'cancelled' AND old.state <> 'cancelled' BEGIN
  SELECT RAISE(ABORT, 'the job is finished already') WHERE old.state IN ('done', 'dead');
  INSERT OR IGNORE INTO cancellation SELECT id, attempt, 15, 10000000 FROM running WHERE id = old.id;
  INSERT INTO finished(id, lane, outcome, attempt, failures, finished)
    SELECT j.id, j.lane, 3, old.attempt, coalesce(y.failures, s.failures), CAST((julianday('now') - 2440587.5) * 86400e6 AS INTEGER)
    FROM job j LEFT JOIN ready y ON y.lane = j.lane AND y.priority = j.priority AND y.id = j.id
      LEFT JOIN scheduled s ON s.id = j.id
    WHERE j.id = old.id AND old.state <> 'running';
  UPDATE lane SET cancelled = cancelled + 1, ready = ready - (old.state = 'ready'),
    scheduled = scheduled - (old.state = 'scheduled'), retrying = retrying - (old.state = 'retrying')
    WHERE id = (SELECT lane FROM job WHERE id = old.id) AND old.state <> 'running';
  DELETE FROM ready WHERE lane = (SELECT lane FROM job WHERE id = old.id) AND priority = old.priority AND id = old.id;
  DELETE FROM scheduled WHERE id = old.id;
END;

CREATE TRIGGER jobs_no_other_state INSTEAD OF UPDATE OF state ON jobs
  WHEN new.state NOT IN ('ready', 'cancelled') AND new.state IS NOT old.state BEGIN
  SELECT RAISE(ABORT, 'state can be set to ready or cancelled; the workers make the other moves');
END;

-- DELETE FROM jobs WHERE id = 5
CREATE TRIGGER jobs_rm INSTEAD OF DELETE ON jobs BEGIN
  SELECT RAISE(ABORT, 'the job is running: cancel it first') WHERE old.state = 'running';
  UPDATE lane SET ready = ready - (old.state = 'ready'), scheduled = scheduled - (old.state = 'scheduled'), retrying = retrying - (old.state = 'retrying'),
    done = done - (old.state = 'done'), dead = dead - (old.state = 'dead'), cancelled = cancelled - (old.state = 'cancelled')
    WHERE id = (SELECT lane FROM job WHERE id = old.id);
  DELETE FROM ready WHERE lane = (SELECT lane FROM job WHERE id = old.id) AND priority = old.priority AND id = old.id;
  DELETE FROM scheduled WHERE id = old.id;
  DELETE FROM finished WHERE id = old.id;
  DELETE FROM attempt WHERE job = old.id;
  DELETE FROM job WHERE id = old.id;
END;
