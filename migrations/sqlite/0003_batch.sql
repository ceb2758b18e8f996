-- 0003_batch.sql - a process that commits puts the jobs of those that wait for it, too.
--
-- batch is the number of the last transaction that held jobs of other processes. When the process that began one has
-- died, the next one sees here whether it was committed.

ALTER TABLE spool ADD COLUMN batch INTEGER NOT NULL DEFAULT 0;
