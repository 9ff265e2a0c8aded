/*
 * PostgreSQL as the fence: a job, and the rollback of it, over one row that an application updates. See README.md.
 *
 * Job 1 brings the row under key 2, job 2 brings it back under key 1, as after a rollback. Each has a coordinator and a
 * worker. Whatever belongs to job 1 may freeze at any instant and wake at any later one, or never; the server may end
 * its coordinator's session meanwhile, which frees the locks. Steps are the statements of a transaction, named as in
 * docs/design.md, and the scripts of the queue.
 *
 * Every guarantee can be switched off with -DNO_...; the check then has to find a failure:
 *
 *   NO_JOB_CHECK   a transaction does not ask whether its job's lock is held
 *   NO_GATE        a new job does not wait for the transactions that are under way
 *   NO_TABLE_LOCK  two jobs may have one table
 *   NO_ROW_LOCK    rows are read without FOR NO KEY UPDATE
 *   NO_TOKEN       a coordinator's script does not ask whether the caller still leads
 *   NO_TERMINATE   a session that keeps a gate closed is not ended
 */

#ifndef UPDATES
#define UPDATES 2 /* by the application */
#endif

#define target(job) (3 - job)

/* ---- PostgreSQL ---- */

byte key = 1; /* of the row's value */
byte content; /* its plaintext */
byte row_lock; /* the worker (1, 2) or application (3) that holds it */
byte table_lock; /* the job whose coordinator's session holds it */
bool job_lock[3];
bool in_transaction[3]; /* holds the table's gate, shared */
bool is_frozen; /* worker 1, for ever */
byte slow = 1; /* how often it is ended although it would have gone on */

/* ---- Redis ---- */

byte leader; /* token */
byte queued_job; /* whose batches are on the queue */
bool complete[3];

/* ---- For the properties ---- */

byte committed_content; /* what the application has committed last */
bool rollback_runs; /* job 2 has passed its gate */
bool proven[3]; /* a census of this job has found no old row */
bool started, ended[3];

#ifndef NO_TABLE_LOCK
#define is_free(lock) (lock == 0)
#else
#define is_free(lock) true
#endif
#define nobody_inside (!in_transaction[1] && !in_transaction[2])

inline end_transaction(worker) {
  in_transaction[worker] = false;
  if
  :: row_lock == worker -> row_lock = 0
  :: else -> skip
  fi
}

/* A worker of job `me`. Each statement fails where the server has ended the session. */
proctype Worker(byte me) {
  byte read_key, read_content;
  bool waits; /* having been told that nobody leads */

idle:
end_idle:
  atomic {
    queued_job == me && !complete[me] && (!waits || job_lock[me]) -> /* claim.lua */
    waits = false;
    read_key = 0;
    read_content = 0
  };
  /* SELECT gate: pg_try_advisory_xact_lock_shared; it fails only while a new job takes the gate, which is one step here. */
  in_transaction[me] = true;
  /* SELECT ... FOR NO KEY UPDATE SKIP LOCKED */
  atomic {
    if
    :: !in_transaction[me] -> goto idle
#ifndef NO_ROW_LOCK
    :: in_transaction[me] && row_lock != 0 -> end_transaction(me); goto idle
    :: in_transaction[me] && row_lock == 0 -> row_lock = me
#else
    :: in_transaction[me] -> skip
#endif
    fi;
    read_key = key;
    read_content = content
  };
  /* SELECT whether the job is over: is its lock held by anybody? */
  atomic {
    if
    :: !in_transaction[me] -> goto idle
#ifndef NO_JOB_CHECK
    :: in_transaction[me] && !job_lock[me] -> end_transaction(me); waits = true; goto idle
    :: in_transaction[me] && job_lock[me] -> skip
#else
    :: in_transaction[me] -> skip
#endif
    fi
  };
  /* Frozen for ever, in the middle of its transaction. */
  if
  :: atomic { me == 1 -> is_frozen = true; goto end_frozen }
  :: true
  fi;
  /* UPDATE, COMMIT */
  atomic {
    if
    :: !in_transaction[me] -> goto idle
    :: in_transaction[me] && read_key == target(me) -> skip
    :: in_transaction[me] && read_key != target(me) ->
      /* A zombie does no harm: nothing of job 1 is written once job 2 runs. */
      assert(!(me == 1 && rollback_runs));
      key = target(me);
      content = read_content;
      /* No write of the application is lost. */
      assert(content == committed_content)
    fi;
    end_transaction(me);
    goto idle
  };
end_frozen:
  false
}

/* The coordinator of job `me`. */
proctype Coordinator(byte me) {
  /* The table's and the job's advisory lock, on one session. The rollback is an operator's, after job 1 has begun. */
  atomic {
    (me == 1 || started) && is_free(table_lock) ->
    table_lock = me;
    job_lock[me] = true;
    started = true
  };
  /* The gate, alone, once: every earlier transaction has ended. */
  do
#ifndef NO_GATE
  :: atomic { nobody_inside -> rollback_runs = (me == 2) } -> break
#ifndef NO_TERMINATE
  /* pg_terminate_backend, after 15 s */
  :: atomic { in_transaction[1] && is_frozen -> end_transaction(1) }
  :: atomic { in_transaction[1] && !is_frozen && slow > 0 -> slow--; end_transaction(1) }
#endif
#else
  :: atomic { rollback_runs = rollback_runs || me == 2 } -> break
#endif
  :: table_lock != me -> goto stopped
  od;
  /* lead.lua, begin_job.lua. It asks for its lock before, and Redis follows. */
  atomic {
    if
    :: table_lock != me -> goto stopped
    :: else -> leader = me; queued_job = me
    fi
  };
  /* The census, once the queue is empty. */
  do
  :: atomic { table_lock == me && key == target(me) -> proven[me] = true } -> break
  :: table_lock != me -> goto stopped
  od;
  /* finish_job.lua, however late */
  atomic {
    if
#ifndef NO_TOKEN
    :: leader != me -> goto stopped
    :: leader == me ->
#else
    :: true ->
#endif
      complete[queued_job] = true;
      /* What is called complete has been counted by its own coordinator. */
      assert(proven[queued_job])
    fi
  };
stopped:
  atomic {
    ended[me] = true;
    job_lock[me] = false;
    if
    :: table_lock == me -> table_lock = 0
    :: else -> skip
    fi
  }
}

/* The server ends the session of a coordinator that is frozen. */
proctype Server() {
end_server:
  atomic {
    table_lock == 1 ->
    table_lock = 0;
    job_lock[1] = false
  }
}

proctype Application() {
  byte n;

  do
  :: n < UPDATES ->
    atomic { row_lock == 0 -> row_lock = 3 };
    atomic {
      content++;
      committed_content = content;
      row_lock = 0;
      n++
    }
  :: n == UPDATES -> break
  od
}

init {
  atomic {
    run Coordinator(1);
    run Coordinator(2);
    run Worker(1);
    run Worker(2);
    run Server();
    run Application()
  }
}

#ifdef PROGRESS
/* The rollback ends, whatever has become of the job before it. */
ltl progress { <> complete[2] }
#endif
