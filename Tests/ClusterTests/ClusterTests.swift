// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// The daemon on real kernels: every host a network namespace, one test after the other.
///
/// Each scenario has a control run without replication, which must fail: otherwise the scenario
/// would prove nothing.
@Suite(.serialized) struct ClusterTests {}

/// Whether the daemons run.
enum Replication: String, CaseIterable, CustomTestStringConvertible {
    case on
    case off
    var testDescription: String { "replication \(rawValue)" }

    /// How long to wait for what must happen, and how long to see that it does not.
    var patience: Double { self == .on ? 10 : 3 }
}

/// Builds a cluster, runs a scenario in it and takes it down; the daemons' logs go with a failure.
///
/// - Parameters:
///   - replication: with it the scenario must not throw, without it it must.
///   - starts: whether the daemons are started, the first as master, before the scenario.
func scenario(
    firewalls: Int = 2, translation: AddressTranslation = .none,
    settings: KeyValuePairs<String, Int> = [:], replication: Replication,
    starts: Bool = true, _ body: (Cluster) throws -> Void
) throws {
    let cluster = try Cluster(
        firewalls: firewalls, translation: translation, settings: settings)
    defer { cluster.close() }
    do {
        if replication == .on && starts { try cluster.startDaemons() }
        try body(cluster)
        if replication == .off {
            Issue.record("the scenario works without replication: it proves nothing")
        }
    } catch let loss as LostWithoutReplication where replication == .off {
        // As designed: what was to be lost is lost, and nothing else went wrong.
        _ = loss
    } catch {
        Issue.record("\(error)\n\(cluster.logs)")
    }
}

/// What failed in the part of a scenario that only replication can make work.
struct LostWithoutReplication: Error, CustomStringConvertible {
    let reason: any Error
    var description: String { "\(reason)" }
}

/// Marks the part of a scenario that must work with replication and must fail without.
func onlyByReplication(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch {
        throw LostWithoutReplication(reason: error)
    }
}

/// A cluster for a test of the daemon itself, which needs no control run.
func withCluster(_ body: (Cluster) throws -> Void) throws {
    try scenario(replication: .on, starts: false, body)
}
