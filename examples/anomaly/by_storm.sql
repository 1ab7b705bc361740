-- Scores the wind speeds of many storms, a row for each reading, as they come in: the rows of one
-- storm make a sequence, whichever storms' readings stand between them.
CREATE MODEL storm_anomaly_by_storm
INPUT (reading FLOAT)
OUTPUT (z_score FLOAT, anomaly BOOLEAN)
WITH (
  'provider' = 'triton',
  'endpoint' = 'embedded',
  'model-name' = 'anomaly',
  'sequence-id' = 'storms',
  'sequence-id-auto-increment' = 'true',
  'sequence-key' = 'storm',
  'sequence-recovery' = 'replay'
);
