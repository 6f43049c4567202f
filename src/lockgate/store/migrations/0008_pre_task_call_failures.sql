ALTER TABLE task_calls ADD COLUMN failure TEXT;
UPDATE task_calls
   SET failure = substr(answer, 12, length(answer) - 12), answer = NULL
 WHERE substr(answer, 1, 11) = '{"failure":';
