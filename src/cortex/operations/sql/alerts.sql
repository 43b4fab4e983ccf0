-- name: states
SELECT
    rule, phase, since, fired_at, value,
    acknowledged_by, acknowledged_at, escalated_at
FROM alert_states;

-- name: put_state
INSERT INTO alert_states
    (rule, phase, since, fired_at, value,
     acknowledged_by, acknowledged_at, escalated_at)
VALUES
    (:rule, :phase, :since, :fired_at, :value,
     :acknowledged_by, :acknowledged_at, :escalated_at)
ON CONFLICT (rule) DO UPDATE SET
    phase = excluded.phase,
    since = excluded.since,
    fired_at = excluded.fired_at,
    value = excluded.value,
    acknowledged_by = excluded.acknowledged_by,
    acknowledged_at = excluded.acknowledged_at,
    escalated_at = excluded.escalated_at;

-- name: delete_state
DELETE FROM alert_states WHERE rule = :rule;

-- name: evaluated_at
SELECT at FROM alert_evaluations;

-- name: set_evaluated_at
UPDATE alert_evaluations SET at = :at;
