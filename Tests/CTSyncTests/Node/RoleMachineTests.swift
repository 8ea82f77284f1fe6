// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct RoleMachineTests {
    private static func claim(_ epoch: UInt64, _ id: UInt8 = 4) -> MasterClaim {
        MasterClaim(epoch: epoch, nodeID: id)
    }

    @Test func aNodeBeginsAsSlaveAndObeys() {
        var machine = RoleMachine(nodeID: 4)
        #expect(machine.role == .slave)
        let steps: [(Role, UInt64, RoleMachine.Change)] = [
            (.slave, 100, .none),
            (.master, 100, .promote(Self.claim(100))),
            (.master, 200, .none),
            (.slave, 300, .demote(Self.claim(100))),
            (.slave, 300, .none),
            // The clock went back: the epoch does not.
            (.master, 50, .promote(Self.claim(101))),
            (.slave, 50, .demote(Self.claim(101))),
            (.master, 500, .promote(Self.claim(500))),
        ]
        for (wanted, wall, change) in steps {
            let answer = machine.order(wanted, wallMicroseconds: wall)
            #expect(answer == change)
            #expect(machine.role == wanted)
        }
    }

    @Test func anEpochIsAboveEveryOneHeard() {
        var machine = RoleMachine(nodeID: 4)
        machine.heard(Self.claim(1_000, 9))
        machine.heard(Self.claim(900, 1))
        let change = machine.order(.master, wallMicroseconds: 100)
        #expect(change == .promote(Self.claim(1_001)))
        #expect(machine.claim == Self.claim(1_001))
    }

    @Test(
        arguments: [
            // The other's epoch and id, whether it is given way to.
            (101, 1, true), (100, 5, true), (100, 3, false), (99, 200, false),
        ] as [(UInt64, UInt8, Bool)])
    func aMasterGivesWayToAHigherClaim(_ epoch: UInt64, _ id: UInt8, _ givesWay: Bool) {
        var machine = RoleMachine(nodeID: 4)
        _ = machine.order(.master, wallMicroseconds: 100)
        let change = machine.superseded(by: Self.claim(epoch, id))
        #expect(change == (givesWay ? .demote(Self.claim(100)) : .none))
        #expect(machine.role == (givesWay ? .slave : .master))
        // Promoted again it is above the other.
        _ = machine.order(.slave, wallMicroseconds: 0)
        _ = machine.order(.master, wallMicroseconds: 0)
        #expect(machine.claim > Self.claim(epoch, id))
    }

    @Test func aSlaveIsNotSuperseded() {
        var machine = RoleMachine(nodeID: 4)
        let change = machine.superseded(by: Self.claim(100, 5))
        #expect(change == .none)
        let promotion = machine.order(.master, wallMicroseconds: 1)
        #expect(promotion == .promote(Self.claim(101)))
    }
}
