import ArgumentParser
import BatchQueue
import Catalog
import Envelope
import Glibc
import Logging
import Metrics
import Postgres
import Rotation
import Synchronization
import Verification

/// Runs a job for the command line: shows it, reports it, and turns its end into an exit code.
struct RotationRun {
    let keyring: Keyring
    let mode: RotationMode
    let settings: ConnectionSettings
    let scope: JobScope
    let report: ReportFile?
    let logger: Logger

    // MARK: Rotation

    func rotate(
        _ file: CatalogFile, _ expectedKeyIDs: Set<String>, lanes: Int, _ options: Coordinator.Options,
        _ listening: MetricsOptions
    ) async throws {
        let tables = file.entries.map(\.name)
        let registry = listening.keepMetrics(RotationMetrics.descriptions(tables: tables))
        let start = Moment()
        let (plan, database) = try await prepare(
            file, expectedKeyIDs, start, dryRun: false, sessions: lanes + options.sessions)
        let output = ProgressOutput(logger)
        let rotation = try SingleProcessRotation(
            plan, settings: settings, lanes: lanes, options: options, observer: output, logger: logger,
            metrics: RotationMetrics(tables: tables, factory: MetricsSystem.factory))
        let result: RotationResult
        let signal: Int32?
        do {
            let logger = logger
            (result, signal) = try await StopSignals.run(logger) {
                try await listening.serving(registry, logger) { try await rotation.run() }
            }
        } catch {
            output.finish()
            try refuse(error, start, database, dryRun: false)
            throw error
        }
        output.finish()
        let target = plan.targetKeyID
        let (outcome, reason) = Self.words(for: result.outcome)
        if let report {
            let progress = result.progress
            try report.begin(
                Self.makeReport(
                    start, mode, keyring, database, scope, outcome: outcome, reason: reason, dryRun: false,
                    before: result.before,
                    after: result.after,
                    records: JobReport.Records(
                        totalFirstCensus: result.before.totalRecords, handedOut: progress.recordsTotal,
                        rewrapped: progress.recordsRewrapped, superseded: progress.recordsSuperseded,
                        failed: progress.recordsFailed),
                    sweeps: progress.sweep))
            let writer = Handoff(report)
            try await rotation.forEachFailure { try writer.value.append($0) }
            try report.finish()
        }
        Console.printResult(CensusOutput.text(before: result.before, after: result.after))
        Self.log(result, target: target, scope, to: logger)
        switch result.outcome {
        case .complete: return
        case .incomplete, .cancelled: throw ExitStatus.incomplete
        case .stopped: throw ExitStatus.stopped(by: signal ?? SIGTERM)
        }
    }

    /// The last lines of a job's log.
    static func log(_ result: RotationResult, target: String, _ scope: JobScope, to logger: Logger) {
        let failed = result.progress.recordsFailed
        if failed > 0 { logger.error("\(failed) records failed and are as they were") }
        switch result.outcome {
        case .complete:
            logger.info(
                "Complete\(scope.part): a census after the queue was empty found no record that is not under \(target)\(scope.rest)"
            )
        case .incomplete(let reason):
            logger.error("Incomplete: \(reason)")
        case .cancelled:
            logger.warning("Cancelled by an operator; nothing is lost, run it again to go on")
        case .stopped:
            logger.warning("Stopped before the end; nothing is lost, run it again to go on")
        }
        if result.before.totalRecords == 0 { logger.warning("\(JobScope.noRecord)") }
        logger.info(
            "Re-encrypted \(result.progress.recordsRewrapped) of \(result.before.totalRecords) records")
    }

    static func words(for outcome: RotationResult.Outcome) -> (outcome: String, reason: String?) {
        switch outcome {
        case .complete: ("complete", nil)
        case .incomplete(let reason): ("incomplete", reason)
        case .stopped: ("stopped", nil)
        case .cancelled: ("cancelled", nil)
        }
    }

    // MARK: Dry run

    func dryRun(
        _ file: CatalogFile, _ expectedKeyIDs: Set<String>, allowsUnknownKeys: Bool,
        definitionPatience: Duration, logsAll: Bool
    ) async throws {
        let start = Moment()
        let (plan, database) = try await prepare(file, expectedKeyIDs, start, dryRun: true, sessions: 4)
        let output = ProgressOutput(logger)
        let failures = Mutex(try FailureSpool())
        let logged = Mutex(0)
        let limit = logsAll ? Int.max : 100
        let (settings, logger) = (settings, logger)
        let result: DryRun.Result
        let signal: Int32?
        do {
            (result, signal) = try await StopSignals.run(logger) {
                try await DryRun(
                    plan, allowsUnknownKeys: allowsUnknownKeys, definitionPatience: definitionPatience,
                    logger: logger
                ).run(
                    settings.named("reencrypt-secrets dry run"),
                    onBegin: {
                        try failures.withLock { $0 = try FailureSpool() }
                        logged.withLock { $0 = 0 }
                    },
                    onRecord: { table, column, id, keyID in
                        let isLogged = logged.withLock { count in
                            count += 1
                            return count <= limit
                        }
                        guard isLogged else { return }
                        let text = id.count == 1 ? id[0] : "(" + id.joined(separator: ", ") + ")"
                        logger.info("Would re-encrypt \(table).\(column) (id=\(text), current_key=\(keyID))")
                    },
                    onFailure: { failure in
                        output.failed(failure)
                        try failures.withLock { try $0.append(failure) }
                    })
            }
        } catch {
            try refuse(error, start, database, dryRun: true)
            throw error
        }
        if let report {
            try report.begin(
                Self.makeReport(
                    start, mode, keyring, database, scope,
                    outcome: result.isComplete ? (result.failed == 0 ? "complete" : "incomplete") : "stopped",
                    reason: result.failed == 0 ? nil : "\(result.failed) records could not be rewrapped",
                    dryRun: true,
                    before: result.census, after: nil,
                    records: JobReport.Records(
                        totalFirstCensus: result.census.totalRecords,
                        handedOut: result.wouldRewrap + result.failed, rewrapped: result.wouldRewrap,
                        superseded: 0,
                        failed: result.failed),
                    sweeps: 0))
            let writer = Handoff(report)
            try failures.withLock { try $0.forEach { try writer.value.append($0) } }
            try report.finish()
        }
        Console.printResult(CensusOutput.text(before: result.census, after: nil))
        if result.failed > 0 { logger.error("\(result.failed) records could not be rewrapped") }
        if result.census.totalRecords == 0 { logger.warning("\(JobScope.noRecord)") }
        logger.info(
            "DRY RUN: Would re-encrypt \(result.wouldRewrap) of \(result.census.totalRecords) records")
        if !result.isComplete { throw ExitStatus.stopped(by: signal ?? SIGTERM) }
        if result.failed > 0 { throw ExitStatus.incomplete }
    }

    // MARK: Report

    /// Looks at the database; what has to be mended first is logged, reported, and ends the command.
    private func prepare(
        _ file: CatalogFile, _ expectedKeyIDs: Set<String>, _ start: Moment, dryRun: Bool, sessions: Int
    ) async throws -> (JobPlan, JobReport.Database) {
        let preparation: DatabasePreparation
        do {
            preparation = try await DatabasePreparation.inspect(
                file, settings, forWriting: !dryRun, keyIDs: keyring.ids.map(\.description),
                sessions: sessions)
        } catch {
            try refuse(error, start, nil, dryRun: dryRun)
            throw error
        }
        logger.info("Connected to database")
        preparation.log(to: logger)
        guard preparation.refusals.isEmpty else {
            let reasons = preparation.refusals.map(\.description).joined(separator: " | ")
            try refuse(SettingsError(reasons), start, preparation.database, dryRun: dryRun)
            throw ExitStatus.couldNotRun
        }
        let plan = JobPlan(
            keyring: keyring, mode: mode, tables: preparation.tables, jobLock: .newJob(),
            expectedKeyIDs: expectedKeyIDs)
        return (plan, preparation.database)
    }

    /// A job that could not run leaves a report that says so.
    private func refuse(
        _ error: any Error, _ start: Moment, _ database: JobReport.Database?, dryRun: Bool
    ) throws {
        try Self.refuse(
            error, start: start, mode: mode, keyring: keyring, database: database, scope, dryRun: dryRun,
            report)
    }

    /// The same where not even the settings could be read.
    static func refuse(_ error: any Error, mode: RotationMode, dryRun: Bool, _ report: ReportFile?) throws {
        try refuse(
            error, start: Moment(), mode: mode, keyring: nil, database: nil,
            JobScope(tables: [], tablesLeftOut: []), dryRun: dryRun, report)
    }

    private static func refuse(
        _ error: any Error, start: Moment, mode: RotationMode, keyring: Keyring?,
        database: JobReport.Database?, _ scope: JobScope,
        dryRun: Bool, _ report: ReportFile?
    ) throws {
        guard let report else { return }
        let isStop = error is ExitCode
        try report.begin(
            makeReport(
                start, mode, keyring, database, scope, outcome: isStop ? "stopped" : "refused",
                reason: isStop ? nil : CommandFailure.text(of: error), dryRun: dryRun, before: nil,
                after: nil,
                records: JobReport.Records(
                    totalFirstCensus: 0, handedOut: 0, rewrapped: 0, superseded: 0, failed: 0),
                sweeps: 0))
        try report.finish()
    }

    private static func makeReport(
        _ start: Moment, _ mode: RotationMode, _ keyring: Keyring?, _ database: JobReport.Database?,
        _ scope: JobScope, outcome: String, reason: String?, dryRun: Bool,
        before: Census?, after: Census?,
        records: JobReport.Records, sweeps: Int
    ) -> JobReport {
        JobReport(
            startedAt: start.text, finishedAt: Timestamp.now(), durationSeconds: start.elapsedSeconds,
            outcome: outcome, reason: reason, mode: mode.rawValue, dryRun: dryRun,
            targetKey: keyring.map { JobReport.Key($0.primary) },
            keys: keyring?.keys.map(JobReport.Key.init) ?? [],
            database: database, tablesLeftOut: scope.tablesLeftOut,
            censusBefore: before.map(JobReport.CensusGroup.groups),
            censusAfter: after.map(JobReport.CensusGroup.groups), records: records, sweeps: sweeps)
    }
}

/// Passes a value to the one task that uses it while its owner waits. `@unchecked Sendable`: the owner does
/// not touch the value until the call it was passed to has returned.
private struct Handoff<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}
