-- The tables of jupyterhub-credit-service 0.1.3, made by its own models.
BEGIN TRANSACTION;
CREATE TABLE project_credits (
	name VARCHAR NOT NULL,
	balance INTEGER,
	cap INTEGER,
	grant_value INTEGER,
	grant_interval INTEGER,
	grant_last_update DATETIME,
	PRIMARY KEY (name)
);
INSERT INTO "project_credits" VALUES('p',120,500,50,3600,'2026-11-28 09:00:00.000000');
CREATE TABLE user_credits (
	name VARCHAR NOT NULL,
	balance INTEGER,
	cap INTEGER,
	grant_value INTEGER,
	grant_interval INTEGER,
	grant_last_update DATETIME,
	spawner_bills JSON,
	project_name VARCHAR,
	PRIMARY KEY (name),
	FOREIGN KEY(project_name) REFERENCES project_credits (name)
);
INSERT INTO "user_credits" VALUES('ada',30,100,5,600,'2026-11-28 09:00:00.000000','{}','p');
INSERT INTO "user_credits" VALUES('bob',100,100,5,600,'2026-11-28 09:00:00.000000','{}',NULL);
INSERT INTO "user_credits" VALUES('cy',450,500,5,600,'2026-11-28 09:00:00.000000','{}',NULL);
INSERT INTO "user_credits" VALUES('gone',7,100,5,600,'2026-11-28 09:00:00.000000','{}',NULL);
COMMIT;
