// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Logging
import Testing

@testable import CTSync

/// The role in the control file, and the manager's word that comes between.
@Suite struct PublishedRoleTests {
    /// A daemon that has a role and obeys, or not.
    private final class Bench {
        private let scratch = ScratchDirectory()
        var path: String { scratch.file("state") }
        var published: PublishedRole
        var role = Role.slave
        var obeys = true
        private(set) var orders: [Role] = []
        /// How often the role was asked for, to be written.
        private(set) var attempts = 0

        init() throws {
            let log = Logger(label: "published-role") { _ in SwiftLogNoOpLogHandler() }
            published = try PublishedRole(scratch.file("state"), log: log)
        }

        func publish() throws {
            try published.publish(
                {
                    attempts += 1
                    return role
                }
            ) { order in
                orders.append(order)
                if obeys { role = order }
                return obeys
            }
        }
    }

    @Test func whatAManagerWritesMeanwhileIsObeyedFirst() throws {
        let bench = try Bench()
        #expect(bench.published.isDue)
        try bench.publish()
        #expect(!bench.published.isDue && ScratchDirectory.read(bench.path) == "slave\n")

        ScratchDirectory.write("1\n", to: bench.path)
        try bench.publish()
        #expect(bench.orders == [.master] && ScratchDirectory.read(bench.path) == "master\n")

        // A promotion that waits keeps the manager's word.
        ScratchDirectory.write("0\n", to: bench.path)
        bench.obeys = false
        try bench.publish()
        #expect(bench.orders == [.master, .slave] && bench.published.isDue)
        #expect(ScratchDirectory.read(bench.path) == "0\n")
        bench.published.remove()
    }

    @Test func aFileThatCannotBeUsedIsToldAndStaysDue() throws {
        let bench = try Bench()
        try bench.publish()
        #expect(bench.published.troubles.isEmpty)
        #expect(unlink(bench.path) == 0 && mkdir(bench.path, 0o700) == 0)
        let attempts = bench.attempts
        for _ in 0..<2 {
            try bench.publish()
            #expect(bench.published.isDue && bench.published.troubles.count == 1)
        }
        // Not tried again at once.
        #expect(bench.attempts == attempts + 1)
        rmdir(bench.path)
    }
}
