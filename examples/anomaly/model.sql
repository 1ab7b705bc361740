-- Scores the wind speeds of a storm, in the order in which they were measured: how far is each
-- one from those before it? Every row is a sequence of its own, so no storm sees another's state.
CREATE MODEL storm_anomaly
INPUT (reading ARRAY<FLOAT>)
OUTPUT (z_score ARRAY<FLOAT>, anomaly ARRAY<BOOLEAN>)
WITH (
  'provider' = 'triton',
  'endpoint' = 'embedded',
  'model-name' = 'anomaly',
  'sequence-id' = 'storms',
  'sequence-id-auto-increment' = 'true'
);
