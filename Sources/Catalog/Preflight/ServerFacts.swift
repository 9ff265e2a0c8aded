package import Postgres

extension Preflight {
    /// The server as a whole. Comes before introspection, which relies on the version.
    package static func server(
        _ session: PostgresSession, forWriting: Bool
    ) throws(PostgresError) -> [CatalogProblem] {
        if let problem = ServerFacts.versionProblem(session.serverVersion) { return [problem] }
        return try ServerFacts(of: session).problems(forWriting: forWriting)
    }
}

extension Preflight {
    /// Why a COMMIT would wait for ever for a synchronous standby; nil where none is missing.
    package static func missingSynchronousStandby(_ session: PostgresSession) throws(PostgresError) -> String?
    {
        guard let problem = try ServerFacts(of: session).standbyProblem, problem.severity == .refuse else {
            return nil
        }
        return problem.message
    }
}

/// What bears on a rotation about the server as a whole.
struct ServerFacts {
    var isStandby = false
    /// `default_transaction_read_only`.
    var isReadOnlyByDefault = false
    var encoding = "UTF8"
    /// `session_replication_role` of our sessions.
    var replicationRole = "origin"
    /// `synchronous_standby_names`.
    var standbyNames = ""
    /// Standbys of any kind, of those the ones whose state this role may see, of those the ones that confirm
    /// commits. That a standby is connected is hidden from nobody.
    var connectedStandbys = 0
    var visibleStandbys = 0
    var confirmingStandbys = 0

    /// nil from PostgreSQL 14 on, which has everything that our statements use.
    static func versionProblem(_ version: Int) -> CatalogProblem? {
        if version >= 140_000 { return nil }
        let name = version >= 100_000 ? "\(version / 10_000)" : "\(version / 10_000).\(version / 100 % 100)"
        return problem(
            .refuse, "it is PostgreSQL \(name); 14 is the oldest supported",
            mend: "upgrade the server, or connect to the one that was meant")
    }

    func problems(forWriting: Bool) -> [CatalogProblem] {
        var problems: [CatalogProblem] = []
        if isStandby {
            problems.append(
                Self.problem(
                    forWriting ? .refuse : .warn,
                    "it is a standby (pg_is_in_recovery), which takes no writes",
                    mend: "connect to the primary, for example with target_session_attrs=read-write and "
                        + "all hosts in DATABASE_URL"))
        }
        if encoding == "SQL_ASCII" {
            problems.append(
                Self.problem(
                    .warn, "server_encoding is SQL_ASCII: nothing guarantees that texts are UTF-8",
                    mend: "values that are not are reported as failed records and left as they are"))
        }
        guard forWriting else { return problems }
        if isReadOnlyByDefault {
            problems.append(
                Self.problem(
                    .warn, "default_transaction_read_only is on, and our transactions override it",
                    mend: "make sure that it is a default and not somebody's way to stop writes"))
        }
        if replicationRole == "replica" {
            problems.append(
                Self.problem(
                    .warn, "session_replication_role is replica for this role: ordinary triggers do not fire",
                    mend: "ALTER ROLE … RESET session_replication_role where audit triggers have to fire"))
        }
        if !isStandby, let problem = standbyProblem { problems.append(problem) }
        return problems
    }

    /// Without its standbys a COMMIT never returns, and the rows it has locked stay locked.
    var standbyProblem: CatalogProblem? {
        let required = SynchronousStandbyNames.requiredCount(standbyNames)
        if required == 0 { return nil }
        let seesAll = visibleStandbys == connectedStandbys
        let counted = seesAll ? confirmingStandbys : connectedStandbys
        if counted < required {
            return Self.problem(
                .refuse,
                "synchronous_standby_names (\(standbyNames)) requires \(required) of its standbys, and "
                    + "\(counted) are connected and in step: COMMIT would wait for ever, with rows locked",
                mend: "bring the standby back, or correct synchronous_standby_names and reload")
        }
        if seesAll { return nil }
        return Self.problem(
            .warn,
            "synchronous_standby_names (\(standbyNames)) requires \(required) of its standbys, "
                + "and this role may not see whether they are in step",
            mend: "GRANT pg_read_all_stats to it, or look at pg_stat_replication yourself")
    }

    private static func problem(
        _ severity: CatalogProblem.Severity, _ message: String, mend: String
    ) -> CatalogProblem {
        CatalogProblem(severity, table: nil, message, mend: mend)
    }
}

extension ServerFacts {
    init(of session: PostgresSession) throws(PostgresError) {
        let settings = try session.query(
            """
            SELECT pg_catalog.pg_is_in_recovery(),
                pg_catalog.current_setting('default_transaction_read_only') = 'on',
                pg_catalog.current_setting('server_encoding'),
                pg_catalog.current_setting('session_replication_role'),
                pg_catalog.current_setting('synchronous_standby_names')
            """)
        isStandby = try settings.flag(0, 0)
        isReadOnlyByDefault = try settings.flag(0, 1)
        encoding = try settings.text(0, 2)
        replicationRole = try settings.text(0, 3)
        standbyNames = try settings.text(0, 4)
        let standbys = try session.query(
            """
            SELECT pg_catalog.count(*), pg_catalog.count(sync_state),
                pg_catalog.count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))
            FROM pg_catalog.pg_stat_replication
            """)
        connectedStandbys = try standbys.number(0, 0)
        visibleStandbys = try standbys.number(0, 1)
        confirmingStandbys = try standbys.number(0, 2)
    }
}
