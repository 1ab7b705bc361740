-- Finds anomalies in the readings of 20 sensors: a sequence of a stateful model for each sensor, on
-- any number of subtasks, right through failovers. See docs/guide/flink.md.

CREATE TABLE events (
  i BIGINT,
  arrived AS PROCTIME()
) WITH (
  'connector' = 'datagen', 'number-of-rows' = '2000',
  'fields.i.kind' = 'sequence', 'fields.i.start' = '0', 'fields.i.end' = '1999'
);

-- Something that looks like measurements, with a peak now and then.
CREATE VIEW readings AS
SELECT
  'sensor-' || CAST(i % 20 AS STRING) AS sensor,
  CAST(CASE WHEN i % 331 = 330 THEN 900 ELSE 100 + (i * 7919) % 50 END AS FLOAT) AS reading,
  arrived
FROM events;

-- The window brings the rows of a sensor to one subtask, and gives each of them those before it.
CREATE VIEW by_sensor AS
SELECT sensor, reading, ARRAY_AGG(reading) OVER (
  PARTITION BY sensor ORDER BY arrived
  ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS readings
FROM readings;

CREATE MODEL detector
INPUT (sensor STRING, reading FLOAT, readings ARRAY<FLOAT>)
OUTPUT (z_score FLOAT, anomaly BOOLEAN)
WITH (
  'provider' = 'triton',
  'endpoint' = 'http://localhost:8000',
  'model-name' = 'anomaly',
  'sequence-id' = 'sensors',
  'sequence-id-auto-increment' = 'true',
  'sequence-key' = 'sensor',
  'sequence-recovery' = 'replay',
  'sequence-history-columns' = 'reading:readings'
);

SELECT sensor, reading, z_score
FROM ML_PREDICT(TABLE by_sensor, MODEL detector, DESCRIPTOR(sensor, reading, readings))
WHERE anomaly;
