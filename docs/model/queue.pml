/*
 * The queue on Redis: a coordinator, two workers, whoever reaps, and what may go wrong. See README.md.
 *
 * A range is one row. Each Lua script is one atomic step here, named in a comment by its file in
 * Sources/BatchQueue/Redis/Scripts; so is each transaction on the database. What lies between two steps may be
 * interrupted by anybody: a worker or the coordinator dies, an answer is lost, a lease runs out under a worker that is
 * still at it, Redis is emptied or falls back to an older state, an application writes a row under the old key again.
 * Each fault has a budget, so that the search ends.
 *
 * Every guarantee can be switched off with -DNO_...; the check then has to find a failure:
 *
 *   NO_GENERATION   enumerating again does not draw a new generation
 *   NO_PAYLOAD      a report is compared by generation and sequence number alone
 *   NO_FIRST_ONLY   a report counts although its batch has been counted
 *   NO_PUSH_NUMBER  a push is made again when its answer was lost
 *   NO_LOSS_CHECK   the coordinator does not compare what it saw with what Redis holds
 *   NO_SWEEP_LOOP   the job is complete when the queue is empty, without a census
 *   NO_SERVER_CLOCK a lease ends by the claiming worker's clock, which may be ahead of all others
 *   NO_REAPER       leases that have run out stay
 */

#ifndef LOSSES
#define LOSSES 1 /* of Redis' data */
#endif
#ifndef REWRITES
#define REWRITES 1 /* by the application, under the old key */
#endif
#ifndef RESTARTS
#define RESTARTS 0 /* of the coordinator */
#endif
#ifndef DEATHS
#define DEATHS 1 /* of workers */
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 1
#endif
#ifndef EXPIRIES
#define EXPIRIES 1 /* of leases whose holder is alive: it becomes a zombie */
#endif

#define N 2 /* rows */
#define S 9 /* sequence numbers are 1 to S - 1 */
#define COUNTED 0 /* answers */
#define STALE 1
#define NONE 0 /* states of a batch */
#define PENDING 1
#define LEASED 2

/* ---- PostgreSQL, the truth ---- */

bool old[N];

/* Not in the system, for the properties: the enumeration that goes on, the one in which a transaction has last looked at
 * the row, and how many have been rewrapped. */
byte enumeration;
byte looked_in[N];
byte rewraps;

/* ---- Redis, all that a loss takes ---- */

typedef Redis {
  byte generation; /* 0: Redis holds nothing */
  byte enumeration; /* for a property: which one this is */
  byte next_sequence;
  byte pushes;
  byte cursor;
  bool enumerated;
  byte state[S]; /* of a batch, by sequence number: `batches` with `pending`, `leases`, `held` */
  byte row[S]; /* its message */
  byte delivery[S];
  byte batches_total, batches_done, batches_pending, batches_leased;
  byte records_total, records_rewrapped, records_superseded;
  bool endless[S]; /* the lease ends by a clock that is far ahead */
  bool handed_out[N]; /* for a property: in this generation */
}
Redis redis, snapshot;
bool has_snapshot;

/* ---- Processes' memory that others have to see here ---- */

bool running = true; /* the job */
byte hand[2], hand_generation[2], hand_delivery[2]; /* what a worker believes to hold; 0: nothing */

byte losses = LOSSES, rewrites = REWRITES, restarts = RESTARTS;
byte deaths = DEATHS, lost_answers = LOST_ANSWERS, expiries = EXPIRIES;
bool was_lost;

/* ---- Properties that hold after each script ---- */

inline equations() {
  assert(redis.batches_total == redis.batches_done + redis.batches_pending + redis.batches_leased);
  assert(redis.records_rewrapped + redis.records_superseded <= redis.records_total);
  assert(redis.records_rewrapped + redis.records_superseded == redis.batches_done);
  assert(redis.records_total == redis.batches_total);
}

/* ---- The scripts ---- */

/* begin_sweep.lua: a new generation, an empty queue; what was counted stays. */
inline begin_sweep(drawn) {
  redis.generation = drawn;
  redis.enumeration = enumeration;
  redis.pushes = 0;
  redis.cursor = 0;
  redis.enumerated = false;
  i = 0;
  do
  :: i < S -> redis.state[i] = NONE; redis.row[i] = 0; redis.delivery[i] = 0; redis.endless[i] = false; i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < N -> redis.handed_out[i] = false; i++
  :: else -> break
  od;
  redis.records_total = redis.records_rewrapped + redis.records_superseded;
  redis.batches_total = redis.batches_done;
  redis.batches_pending = 0;
  redis.batches_leased = 0;
  equations()
}

/* enqueue.lua: one range (or, with `last`, none) and the cursor, once. */
inline enqueue(last, a_row) {
  if
  :: redis.generation != generation -> answer = STALE
#ifndef NO_PUSH_NUMBER
  :: redis.generation == generation && redis.pushes == pushes + 1 -> answer = COUNTED /* repeated */
  :: redis.generation == generation && redis.pushes != pushes && redis.pushes != pushes + 1 -> answer = STALE
  :: redis.generation == generation && redis.pushes == pushes ->
#else
  :: redis.generation == generation ->
#endif
    if
    :: last -> redis.enumerated = true
    :: else ->
      /* No range is handed out twice in a generation. */
      assert(!redis.handed_out[a_row]);
      redis.handed_out[a_row] = true;
      redis.next_sequence++;
      assert(redis.next_sequence < S);
      redis.state[redis.next_sequence] = PENDING;
      redis.row[redis.next_sequence] = a_row;
      redis.batches_total++;
      redis.batches_pending++;
      redis.records_total++;
      redis.cursor = a_row + 1
    fi;
    redis.pushes = pushes + 1;
    equations();
    answer = COUNTED
  fi
}

/* claim.lua: any pending batch; the order does not matter to what is shown. */
inline claim(s) {
  redis.state[s] = LEASED;
  redis.batches_pending--;
  redis.batches_leased++;
  redis.delivery[s]++;
  hand[me] = s;
  hand_generation[me] = redis.generation;
  hand_delivery[me] = redis.delivery[s];
  row = redis.row[s];
  equations()
}

/* acknowledge.lua: the first report of a batch counts, wherever the batch is by then. */
inline acknowledge() {
  if
#ifndef NO_GENERATION
  :: hand_generation[me] != redis.generation -> skip /* stale */
  :: else ->
#else
  :: true ->
#endif
    if
    :: redis.state[hand[me]] == NONE ->
#ifdef NO_FIRST_ONLY
      if
      :: hand[me] <= redis.next_sequence ->
        redis.batches_done++;
        redis.records_rewrapped = redis.records_rewrapped + rewrapped;
        redis.records_superseded = redis.records_superseded + (1 - rewrapped);
        equations()
      :: else -> skip
      fi
#else
      skip /* duplicate */
#endif
#ifndef NO_PAYLOAD
    :: redis.state[hand[me]] != NONE && redis.row[hand[me]] != row -> skip /* stale */
    :: redis.state[hand[me]] != NONE && redis.row[hand[me]] == row ->
#else
    :: else ->
#endif
      /* A range that is counted has been looked at in the enumeration that it is of, or since. */
      assert(looked_in[redis.row[hand[me]]] >= redis.enumeration);
      if
      :: redis.state[hand[me]] == PENDING -> redis.batches_pending-- /* its message is void */
      :: redis.state[hand[me]] == LEASED -> redis.batches_leased--
      fi;
      redis.state[hand[me]] = NONE;
      redis.row[hand[me]] = 0;
      redis.delivery[hand[me]] = 0;
      redis.endless[hand[me]] = false;
      redis.batches_done++;
      redis.records_rewrapped = redis.records_rewrapped + rewrapped;
      redis.records_superseded = redis.records_superseded + (1 - rewrapped);
      equations()
    fi
  fi
}

/* ---- Whoever reaps ---- */

#define holds(w, s) (hand[w] == s && hand_generation[w] == redis.generation && hand_delivery[w] == redis.delivery[s])
#define held(s) (holds(0, s) || holds(1, s))

/* reap() of prelude.lua. A lease whose holder is gone runs out in the end; that of a living one, as often as we allow. */
#define expires(s) (redis.state[s] == LEASED && !redis.endless[s] && (!held(s) || expiries > 0))
inline reap(s) {
  if
  :: held(s) -> expiries--
  :: else -> skip
  fi;
  redis.state[s] = PENDING;
  redis.batches_leased--;
  redis.batches_pending++;
  equations()
}

/* ---- A worker ---- */

#define pending(s) (redis.state[s] == PENDING)

proctype Worker(bit me) {
  byte row, rewrapped;

  do
  :: !running -> break
  :: atomic {
      running && redis.batches_pending > 0 ->
      if
      :: pending(1) -> claim(1)
      :: pending(2) -> claim(2)
      :: pending(3) -> claim(3)
      :: pending(4) -> claim(4)
      :: pending(5) -> claim(5)
      :: pending(6) -> claim(6)
      :: pending(7) -> claim(7)
      :: pending(8) -> claim(8)
      fi;
#ifdef NO_SERVER_CLOCK
      if
      :: redis.endless[hand[me]] = true
      :: skip
      fi
#endif
    };
    if
    :: skip
    :: atomic { lost_answers > 0 -> lost_answers--; goto forgotten } /* to the claim: nobody knows of the lease */
    :: atomic { deaths > 0 -> deaths--; goto forgotten } /* another worker takes its place */
    fi;
    /* The transaction: what is current is not touched. */
    atomic {
      rewrapped = old[row];
      old[row] = false;
      rewraps = rewraps + rewrapped;
      looked_in[row] = enumeration
    };
    /* The report, until an answer has come. */
    do
    :: d_step { acknowledge(); hand[me] = 0; hand_generation[me] = 0; hand_delivery[me] = 0 } -> break
    :: d_step { lost_answers > 0 -> lost_answers--; acknowledge() }
    :: atomic { deaths > 0 -> deaths--; break }
    od;
forgotten: skip;
    d_step { hand[me] = 0; hand_generation[me] = 0; hand_delivery[me] = 0; row = 0; rewrapped = 0 }
  od
}

proctype Reaper() {
  do
  :: !running -> break
#ifndef NO_REAPER
  :: d_step { running && expires(1) -> reap(1) }
  :: d_step { running && expires(2) -> reap(2) }
  :: d_step { running && expires(3) -> reap(3) }
  :: d_step { running && expires(4) -> reap(4) }
  :: d_step { running && expires(5) -> reap(5) }
  :: d_step { running && expires(6) -> reap(6) }
  :: d_step { running && expires(7) -> reap(7) }
  :: d_step { running && expires(8) -> reap(8) }
#endif
  od
}

/* ---- The coordinator ---- */

/* What Redis may not fall behind of: RedisCoordinatorQueue.tick. */
#ifndef NO_LOSS_CHECK
#define lost (redis.generation != generation || redis.next_sequence < seen_sequence || \
              redis.batches_done < seen_done || redis.pushes < pushes)
#else
#define lost false
#endif
#define drained (redis.enumerated && redis.batches_pending + redis.batches_leased == 0)
#define news (redis.next_sequence != seen_sequence || redis.batches_done != seen_done)

/* finish_job.lua, in the same instant as the census: what an application writes later is not this job's. */
inline complete() {
  /* No range is lost: a job that is called complete has left no row behind. */
  assert(!old[0] && !old[1]);
  /* Counts are exact. */
  if
  :: !was_lost && drawn > 0 ->
    assert(redis.batches_pending == 0 && redis.batches_leased == 0);
    assert(redis.records_rewrapped + redis.records_superseded == redis.records_total);
    assert(redis.records_rewrapped <= rewraps)
  :: else -> skip
  fi;
  running = false
}

proctype Coordinator() {
  byte generation, drawn, pushes, cursor, seen_sequence, seen_done;
  bit answer;
  byte i;

census:
  /* One snapshot decides, never a counter. */
  atomic {
    if
#ifdef NO_SWEEP_LOOP
    :: drawn > 0 -> complete(); goto ended
#endif
    :: !old[0] && !old[1] -> complete(); goto ended
    :: else -> skip
    fi
  };

draw: skip;
  d_step {
    if
    :: redis.generation == 0 -> /* lead.lua says that the job is gone: begin_job.lua */
      redis.next_sequence = 0; redis.batches_total = 0; redis.batches_done = 0;
      redis.records_total = 0; redis.records_rewrapped = 0; redis.records_superseded = 0
    :: else -> skip
    fi;
    enumeration++;
#ifndef NO_GENERATION
    drawn++;
#else
    drawn = 1;
#endif
    generation = drawn;
    pushes = 0; cursor = 0; seen_sequence = 0; seen_done = 0;
    begin_sweep(drawn);
    i = 0
  };

enumerate:
  do
  :: cursor < N ->
    /* tick.lua while it waits for room; then the page is read, and pushed later. */
    atomic {
      if
      :: lost -> goto draw
      :: else -> skip
      fi;
      seen_sequence = redis.next_sequence;
      seen_done = redis.batches_done;
      if
      :: !old[cursor] -> cursor++; goto enumerate
      :: else -> skip
      fi
    };
push: skip;
    d_step { enqueue(false, cursor) };
    if
    :: answer == STALE -> goto draw
    :: atomic { answer == COUNTED && lost_answers > 0 -> lost_answers--; goto push }
    :: d_step { answer == COUNTED -> pushes++; cursor++ }
    :: atomic { restarts > 0 -> restarts--; goto lead }
    fi
  :: cursor == N ->
last: skip;
    d_step { enqueue(true, 0) };
    if
    :: answer == STALE -> goto draw
    :: atomic { answer == COUNTED && lost_answers > 0 -> lost_answers--; goto last }
    :: d_step { answer == COUNTED -> pushes++; cursor = 0 } -> break
    :: atomic { restarts > 0 -> restarts--; goto lead }
    fi
  od;

drain:
  do
  :: lost -> goto draw
  :: d_step { !lost && news -> seen_sequence = redis.next_sequence; seen_done = redis.batches_done }
  :: !lost && !news && drained -> goto census
  :: atomic { restarts > 0 -> restarts--; goto lead }
  od;

lead: skip;
  /* lead.lua: another process takes the job up from what Redis holds. */
  d_step {
    generation = redis.generation;
    pushes = redis.pushes;
    cursor = redis.cursor;
    seen_sequence = redis.next_sequence;
    seen_done = redis.batches_done;
    answer = COUNTED
  };
  if
  :: generation == 0 -> goto draw
  :: generation != 0 && redis.enumerated && redis.generation == generation -> goto drain
  :: else -> goto enumerate
  fi;

ended:
  skip
}

/* ---- What may befall them ---- */

inline copy(to, from) {
  to.generation = from.generation; to.enumeration = from.enumeration; to.next_sequence = from.next_sequence; to.pushes = from.pushes;
  to.cursor = from.cursor; to.enumerated = from.enumerated;
  to.batches_total = from.batches_total; to.batches_done = from.batches_done;
  to.batches_pending = from.batches_pending; to.batches_leased = from.batches_leased;
  to.records_total = from.records_total; to.records_rewrapped = from.records_rewrapped;
  to.records_superseded = from.records_superseded;
  i = 0;
  do
  :: i < S ->
    to.state[i] = from.state[i]; to.row[i] = from.row[i]; to.delivery[i] = from.delivery[i];
    to.endless[i] = from.endless[i]; i++
  :: else -> break
  od;
  i = 0;
  do
  :: i < N -> to.handed_out[i] = from.handed_out[i]; i++
  :: else -> break
  od;
  i = 0
}

/* What is not needed any more must not keep states apart. */
inline forget_snapshot() {
  if
  :: losses == 0 ->
    has_snapshot = false;
    snapshot.generation = 0; snapshot.enumeration = 0; snapshot.next_sequence = 0; snapshot.pushes = 0; snapshot.cursor = 0;
    snapshot.enumerated = false;
    snapshot.batches_total = 0; snapshot.batches_done = 0; snapshot.batches_pending = 0; snapshot.batches_leased = 0;
    snapshot.records_total = 0; snapshot.records_rewrapped = 0; snapshot.records_superseded = 0;
    i = 0;
    do
    :: i < S -> snapshot.state[i] = 0; snapshot.row[i] = 0; snapshot.delivery[i] = 0; snapshot.endless[i] = 0; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < N -> snapshot.handed_out[i] = false; i++
    :: else -> break
    od;
    i = 0
  :: else -> skip
  fi
}

/* An empty Redis is a snapshot that was taken before anything was in it. */
proctype Faults() {
  byte i;

  do
  :: !running -> break
#if LOSSES > 0
  :: d_step { running && losses > 0 && !has_snapshot -> copy(snapshot, redis); has_snapshot = true }
  :: d_step { running && losses > 0 -> losses--; was_lost = true; rewraps = 0; copy(redis, snapshot); forget_snapshot() }
#endif
#if REWRITES > 0
  :: d_step { running && rewrites > 0 && !old[0] -> rewrites--; old[0] = true }
  :: d_step { running && rewrites > 0 && !old[1] -> rewrites--; old[1] = true }
#endif
  od
}

init {
  atomic {
    old[0] = true;
    old[1] = true;
    run Coordinator();
    run Worker(0);
    run Worker(1);
    run Reaper();
    run Faults()
  }
}

#ifdef PROGRESS
/* The job ends. */
ltl progress { <> !running }
#endif
