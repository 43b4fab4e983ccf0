-- When an alert escalated because nobody answered it; zero stands for never.
ALTER TABLE alert_states ADD COLUMN escalated_at REAL NOT NULL DEFAULT 0;
