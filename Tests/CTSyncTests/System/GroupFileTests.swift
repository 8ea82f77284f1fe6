// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct GroupFileTests {
    @Test func aGroupIsFoundByItsName() {
        let scratch = ScratchDirectory()
        let path = scratch.file("group")
        ScratchDirectory.write(
            "root:x:0:\nct_sync_other:x:7:\nct_sync:x:991:alice,bob\nbroken\nempty:x::\n", to: path)
        #expect(GroupFile.number(of: "ct_sync", path: path) == 991)
        #expect(GroupFile.number(of: "root", path: path) == 0)
        #expect(GroupFile.number(of: "sync", path: path) == nil)
        #expect(GroupFile.number(of: "empty", path: path) == nil)
        #expect(GroupFile.number(of: "root", path: path + ".none") == nil)
    }
}
