import Glibc

/// A serial executor with one thread of its own. A session with a server blocks, so an actor that owns one
/// must not occupy a thread of the cooperative pool: it runs here. The thread ends when the executor is
/// released.
package final class ConnectionThread: SerialExecutor {
    private let inbox = Inbox()

    package init() {
        let context = Unmanaged.passRetained(inbox).toOpaque()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Inbox>.fromOpaque(context).takeRetainedValue().runUntilClosed()
                return nil
            }, context)
        pthread_attr_destroy(&attributes)
        // A process that cannot start a thread for a connection cannot do anything it was started for.
        precondition(status == 0, "pthread_create failed: \(status)")
    }

    deinit {
        inbox.close()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        inbox.append(UnownedJob(job), asUnownedSerialExecutor())
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// The jobs not yet run. `@unchecked Sendable`: every access to the stored state is made with `mutex`
    /// held; the mutex and the condition live at fixed addresses until `deinit`.
    private final class Inbox: @unchecked Sendable {
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        private var jobs: [(UnownedJob, UnownedSerialExecutor)] = []
        private var isClosed = false

        init() {
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(condition, nil)
        }

        deinit {
            pthread_cond_destroy(condition)
            pthread_mutex_destroy(mutex)
            condition.deallocate()
            mutex.deallocate()
        }

        func append(_ job: UnownedJob, _ executor: UnownedSerialExecutor) {
            pthread_mutex_lock(mutex)
            jobs.append((job, executor))
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
        }

        func close() {
            pthread_mutex_lock(mutex)
            isClosed = true
            pthread_cond_signal(condition)
            pthread_mutex_unlock(mutex)
        }

        func runUntilClosed() {
            var batch: [(UnownedJob, UnownedSerialExecutor)] = []
            while true {
                pthread_mutex_lock(mutex)
                while jobs.isEmpty && !isClosed { pthread_cond_wait(condition, mutex) }
                swap(&batch, &jobs)
                let ends = batch.isEmpty
                pthread_mutex_unlock(mutex)
                if ends { return }
                for (job, executor) in batch { job.runSynchronously(on: executor) }
                batch.removeAll(keepingCapacity: true)
            }
        }
    }
}
