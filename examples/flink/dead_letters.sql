-- Sends the rows that the model cannot answer to a table of their own, with the reason, and goes on
-- with the others. See docs/guide/flink.md, "Rows that fail".

CREATE TABLE events (i INT) WITH (
  'connector' = 'datagen', 'number-of-rows' = '100',
  'fields.i.kind' = 'sequence', 'fields.i.start' = '0', 'fields.i.end' = '99'
);

-- A sensor that is off now and then.
CREATE VIEW readings AS
SELECT i, CASE WHEN i % 25 <> 13 THEN CAST(i AS FLOAT) END AS reading
FROM events;

CREATE MODEL scorer
INPUT (`value` FLOAT)
OUTPUT (echo FLOAT, prediction_status STRING, prediction_error STRING, prediction_http_status INT)
WITH (
  'provider' = 'triton',
  'endpoint' = 'http://localhost:8000',
  'model-name' = 'echo',
  'on-error' = 'column'
);

-- Each row is asked once, although two tables are filled from here.
CREATE VIEW scored AS
SELECT * FROM ML_PREDICT(TABLE readings, MODEL scorer, DESCRIPTOR(reading));

CREATE TABLE scores (i INT, score FLOAT) WITH (
  'connector' = 'print', 'print-identifier' = 'score'
);
CREATE TABLE dead_letters (i INT, reading FLOAT, status INT, reason STRING) WITH (
  'connector' = 'print', 'print-identifier' = 'dead letter'
);

SET 'table.dml-sync' = 'true';

EXECUTE STATEMENT SET BEGIN
  INSERT INTO scores
    SELECT i, echo FROM scored WHERE prediction_status = 'answered';
  INSERT INTO dead_letters
    SELECT i, reading, prediction_http_status, prediction_error
    FROM scored WHERE prediction_status <> 'answered';
END;
