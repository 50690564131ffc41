-- The tables of jupyterhub-credit-service 0.4.2, made by its own models.
BEGIN TRANSACTION;
CREATE TABLE credits_project (
	name VARCHAR NOT NULL,
	display_name VARCHAR,
	balance INTEGER,
	cap INTEGER,
	grant_value INTEGER,
	grant_interval INTEGER,
	grant_last_update DATETIME,
	user_options JSON,
	PRIMARY KEY (name)
);
INSERT INTO "credits_project" VALUES('p','p',120,500,50,3600,'2026-11-28 09:00:00.000000','{}');
CREATE TABLE credits_user (
	name VARCHAR NOT NULL,
	spawner_bills JSON,
	PRIMARY KEY (name)
);
INSERT INTO "credits_user" VALUES('ada','{"1": "2026-11-28T08:59:00"}');
INSERT INTO "credits_user" VALUES('bob','{"1": "2026-11-28T08:59:00"}');
INSERT INTO "credits_user" VALUES('gone','{"1": "2026-11-28T08:59:00"}');
CREATE TABLE credits_user_values (
	id INTEGER NOT NULL,
	name VARCHAR,
	balance INTEGER,
	cap INTEGER,
	grant_value INTEGER,
	grant_interval INTEGER,
	grant_last_update DATETIME,
	user_options JSON,
	user_name VARCHAR NOT NULL,
	project_name VARCHAR,
	PRIMARY KEY (id),
	FOREIGN KEY(user_name) REFERENCES credits_user (name),
	FOREIGN KEY(project_name) REFERENCES credits_project (name)
);
INSERT INTO "credits_user_values" VALUES(1,'gold',30,100,4,600,'2026-11-28 09:00:00.000000','{"system": "A"}','ada','p');
INSERT INTO "credits_user_values" VALUES(2,'default',20,40,4,600,'2026-11-28 09:00:00.000000','null','ada',NULL);
INSERT INTO "credits_user_values" VALUES(3,'default',40,40,4,600,'2026-11-28 09:00:00.000000','null','bob',NULL);
INSERT INTO "credits_user_values" VALUES(4,'default',3,40,4,600,'2026-11-28 09:00:00.000000','null','gone',NULL);
COMMIT;
