// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

@Suite struct LinkWatchKernelTests {
    @Test func removedDevicesAreKnownByTheirNumbers() throws {
        try NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add a0 type veth peer name b0")
            try NetworkNamespace.shell("ip link add bridge0 type bridge")
            let index = if_nametoindex("a0")
            let watch = try LinkWatch()
            #expect(try watch.drain() == LinkWatch.News())

            try NetworkNamespace.shell("ip addr add 192.0.2.1/24 dev a0")
            #expect(try watch.drain() == LinkWatch.News(hasChanged: true))
            // A bridge speaks of a port that leaves it as of a device that is removed.
            try NetworkNamespace.shell("ip link set a0 master bridge0")
            try NetworkNamespace.shell("ip link set a0 nomaster")
            #expect(try watch.drain() == LinkWatch.News(hasChanged: true))

            try NetworkNamespace.shell("ip link del a0")
            let news = try watch.drain()
            #expect(news.removed.contains(index) && news.removed.count == 2)
            #expect(news.hasChanged && !news.isIncomplete)
        }
    }
}
