BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE environment (
	digest TEXT NOT NULL, 
	variables TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "environment" VALUES('3e0f49d6c67dcf50d29581cf5638127c4dfc5b7adf47827380b955f9e62b04fd','{"PATH":"/bin"}');
INSERT INTO "environment" VALUES('ed3aa422b21c4133f4a0f88a6e9c10bb9943a1ffedbeddbd6c3202f75c90273a','{"EMPTY":"","PATH":"/bin:/usr/bin","STRANGE":"a=b\n€"}');
CREATE TABLE finished_job (
	number BIGINT NOT NULL, 
	idx BIGINT NOT NULL, 
	spec INTEGER NOT NULL, 
	phase TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	uid BIGINT NOT NULL, 
	user_name TEXT NOT NULL, 
	name TEXT NOT NULL, 
	queue TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	submitted_at_s DOUBLE NOT NULL, 
	ended_at_s DOUBLE, 
	state TEXT NOT NULL, 
	PRIMARY KEY (number, idx), 
	FOREIGN KEY(spec) REFERENCES spec (id)
)
 WITHOUT ROWID

;
INSERT INTO "finished_job" VALUES(3,-1,1,'succeeded',3,1000,'alice','train','default','',1700000003.0,1700000008.25,'{"gid":1000,"eligible_at_s":0.0,"not_before_s":0.0,"outcome":{"ended_at_s":1700000008.25,"exit_code":0,"signal":null,"core_dumped":false,"oom_killed":null,"reason":"","usage":{"cpu_user_s":0.5,"cpu_system_s":0.25,"memory_peak_bytes":1048576,"read_bytes":0,"write_bytes":0,"voluntary_switches":0,"involuntary_switches":0,"major_faults":0},"wait_s":1.125,"run_s":4.125}}');
INSERT INTO "finished_job" VALUES(4,-1,2,'succeeded',4,1000,'alice','résumé 名前 ''quoted'' "twice" \ %s :x ?','night','
"":"empty key"
"a\"b":"c\nd"
"team":"vision"
',1700000004.0,1700000009.25,'{"gid":1000,"eligible_at_s":0.0,"not_before_s":0.0,"outcome":{"ended_at_s":1700000009.25,"exit_code":0,"signal":null,"core_dumped":false,"oom_killed":null,"reason":"","usage":{"cpu_user_s":0.5,"cpu_system_s":0.25,"memory_peak_bytes":1048576,"read_bytes":0,"write_bytes":0,"voluntary_switches":0,"involuntary_switches":0,"major_faults":0},"wait_s":1.125,"run_s":4.125}}');
CREATE TABLE job (
	number BIGINT NOT NULL, 
	idx BIGINT NOT NULL, 
	spec INTEGER NOT NULL, 
	phase TEXT NOT NULL, 
	revision BIGINT NOT NULL, 
	uid BIGINT NOT NULL, 
	user_name TEXT NOT NULL, 
	name TEXT NOT NULL, 
	queue TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	submitted_at_s DOUBLE NOT NULL, 
	ended_at_s DOUBLE, 
	state TEXT NOT NULL, 
	PRIMARY KEY (number, idx), 
	FOREIGN KEY(spec) REFERENCES spec (id)
)
 WITHOUT ROWID

;
INSERT INTO "job" VALUES(1,-1,1,'queued',1,1000,'alice','train','default','',1700000001.0,NULL,'{"gid":1000,"eligible_at_s":0.0,"not_before_s":0.0}');
INSERT INTO "job" VALUES(2,-1,2,'queued',2,1000,'alice','résumé 名前 ''quoted'' "twice" \ %s :x ?','night','
"":"empty key"
"a\"b":"c\nd"
"team":"vision"
',1700000002.0,NULL,'{"gid":1000,"eligible_at_s":0.0,"not_before_s":0.0}');
CREATE TABLE setting (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "setting" VALUES('policy','"priority"');
CREATE TABLE spec (
	id INTEGER NOT NULL, 
	environment TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(environment) REFERENCES environment (digest)
);
INSERT INTO "spec" VALUES(1,'3e0f49d6c67dcf50d29581cf5638127c4dfc5b7adf47827380b955f9e62b04fd','{"account":"","array":null,"begin_at_s":0.0,"checkpoint_signal":"","command":["/bin/true"],"cwd":"/tmp","deadline_at_s":0.0,"dependencies":[],"environment":{"digest":"","variables":{}},"grace_s":30.0,"held":false,"labels":{},"name":"train","nice":0,"notify_command":"","preemptible":false,"priority":0,"queue":"default","request":{"cpu_millis":1000,"memory_bytes":1073741824,"devices":[],"disk_bytes":0,"exclusive":false},"retry":{"retries":0,"conditions":["exit","lost","oom","preempt"],"backoff_s":1.0,"backoff_max_s":600.0},"script":"","stderr_path":"","stdin_open":false,"stdout_path":"","time_limit_s":0.0}');
INSERT INTO "spec" VALUES(2,'ed3aa422b21c4133f4a0f88a6e9c10bb9943a1ffedbeddbd6c3202f75c90273a','{"account":"lab","array":{"text":"1,4,7-20:2%5","indices":{"parts":[[1,2,1],[4,5,1],[7,20,2]]},"limit":5},"begin_at_s":1700000000.123456,"checkpoint_signal":"USR1","command":["sh","-c","echo ''a\nb''\t\u0001 $HOME","","Ω"],"cwd":"/home/al ice","deadline_at_s":2000000000.0,"dependencies":[{"kind":"after-ok","job_id":[3,-1]},{"kind":"after-any","job_id":[4,2]}],"environment":{"digest":"","variables":{}},"grace_s":1e-9,"held":true,"labels":{"":"empty key","a\"b":"c\nd","team":"vision"},"name":"résumé 名前 ''quoted'' \"twice\" \\ %s :x ?","nice":19,"notify_command":"mail","preemptible":true,"priority":-2147483648,"queue":"night","request":{"cpu_millis":2500,"memory_bytes":3298534883328,"devices":[{"kind":"gpu","millis":2000,"model":"a100","memory_bytes":8589934592},{"kind":"fpga","millis":1000,"model":"","memory_bytes":0}],"disk_bytes":5368709120,"exclusive":true},"retry":{"retries":3,"conditions":["exit","oom"],"backoff_s":2.5,"backoff_max_s":1000000.0},"script":"#!/bin/sh\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx","stderr_path":"/dev/null","stdin_open":true,"stdout_path":"/tmp/%j.out","time_limit_s":0.30000000000000004}');
CREATE TABLE submission (
	uid BIGINT NOT NULL, 
	"key" TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	first BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	at_s DOUBLE NOT NULL, 
	PRIMARY KEY (uid, "key"), 
	CONSTRAINT submission_count CHECK (count > 0)
);
CREATE INDEX finished_job_newest ON finished_job (number) WHERE idx = -1;
CREATE INDEX finished_job_by_name ON finished_job (name, number) WHERE idx = -1;
CREATE INDEX finished_job_by_user ON finished_job (user_name, number) WHERE idx = -1;
CREATE INDEX finished_job_by_revision ON finished_job (revision);
COMMIT;
