-- 0002_ids.sql - a put does not count ids any more, which saves it a page of the log.
--
-- A job's id is one more than the greatest that there is, and not below spool.next_job, which is moved when jobs are
-- removed: so that none is ever used twice.

DROP TRIGGER jobs_put;
DROP TRIGGER jobs_rm;

-- INSERT INTO jobs(queue, command) VALUES ('mail', 'echo hello'): the command is shell text, as after spool put -c.
CREATE TRIGGER jobs_put INSTEAD OF INSERT ON jobs BEGIN
  SELECT RAISE(ABORT, 'give a command or a kind: INSERT INTO jobs(queue, command) VALUES (''mail'', ''echo hello'')')
    WHERE new.command IS NULL AND new.kind IS NULL;
  INSERT OR IGNORE INTO queue(name) VALUES (coalesce(new.queue, 'default'));
  INSERT OR IGNORE INTO lane(queue, kind)
    SELECT id, coalesce(new.kind, '') FROM queue WHERE name = coalesce(new.queue, 'default');
  INSERT INTO job(id, lane, priority, put_at, retries, name, command, body)
    SELECT max(s.next_job, 1 + coalesce((SELECT max(id) FROM job), 0)), l.id, coalesce(new.priority, 1024), CAST((julianday('now') - 2440587.5) * 86400e6 AS INTEGER), 0, new.name,
      CASE WHEN new.kind IS NULL THEN 'sh -c ''' || replace(new.command, '''', '''\''''') || '''' END, new.body
    FROM spool s JOIN queue q ON q.name = coalesce(new.queue, 'default')
      JOIN lane l ON l.queue = q.id AND l.kind = coalesce(new.kind, '');
  INSERT INTO ready SELECT lane, priority, id, 0, 0, 0 FROM job WHERE id = (SELECT max(id) FROM job);
  UPDATE lane SET ready = ready + 1 WHERE id = (SELECT lane FROM job WHERE id = (SELECT max(id) FROM job));
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
  UPDATE spool SET next_job = min(old.id, 9223372036854775806) + 1
    WHERE next_job <= old.id AND old.id > (SELECT coalesce(max(id), 0) FROM job);
END;
