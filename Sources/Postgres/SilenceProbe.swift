/// Tells a server that works on a statement from a connection that has died without a word: a firewall that forgot it,
/// a proxy that stands still, a machine that is gone. TCP would notice after a quarter of an hour, or never.
///
/// A statement may take long, so silence alone proves nothing. Another session is asked what the first one's server
/// process is doing. If that is gone or has been waiting for *us*, or if no other session can be had either, nothing
/// will ever come. A process that waits is ended, since it holds rows, gates or the lead for nobody.
enum SilenceProbe {
    /// How long a server may be silent before it is asked, and how long it has for an answer.
    static let patience: Duration = .seconds(5)
    private static let answerTimeout: Duration = .seconds(4)

    /// A server process, as the server itself names it: a pooler in session mode shows another number.
    struct Process {
        /// Columns for a statement over the session in question.
        static let columns = """
            pg_catalog.pg_backend_pid(), (SELECT extract(epoch FROM backend_start)::text \
            FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid())
            """
        let pid: Int
        /// Tells it from a later one with the same number.
        let start: String
    }

    /// - Returns: why no answer will come; nil where one may.
    static func finding(about process: Process, _ settings: ConnectionSettings) -> String? {
        var settings = settings
        settings.connectTimeout = min(settings.connectTimeout, answerTimeout)
        settings.answerTimeout = min(settings.answerTimeout, answerTimeout)
        settings.probesSilence = false
        do throws(PostgresError) {
            let session = try PostgresSession(connecting: settings)
            var parameters = QueryParameters()
            parameters.append(int8: Int64(process.pid))
            parameters.append(text: process.start)
            // A standby that does not know the process may be another one than that which was asked.
            let answer = try session.query(
                """
                WITH ours AS (SELECT pid, (state <> 'active' OR wait_event_type = 'Client') \
                AND state_change < pg_catalog.clock_timestamp() - interval '3 seconds' AS waits \
                FROM pg_catalog.pg_stat_activity \
                WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2) \
                SELECT CASE WHEN NOT EXISTS (SELECT FROM ours) THEN NOT pg_catalog.pg_is_in_recovery() \
                ELSE (SELECT CASE WHEN waits THEN pg_catalog.pg_terminate_backend(pid) END FROM ours) END
                """, parameters)
            guard answer.rowCount == 1, answer.bool(0, 0) == true else { return nil }
            return "the server does not work on it: the connection has died on the way"
        } catch {
            // It answers, if only with a refusal: it lives.
            guard error.sqlState == nil else { return nil }
            return "the server takes no other connection either (\(error.message))"
        }
    }
}
