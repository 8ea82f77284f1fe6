// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What the kernel is asked to do with an entry.
enum InjectOperation: UInt32 {
    case create = 0
    case update = 1
    case delete = 2
}

/// What is done if the kernel refuses an operation.
enum InjectRemedy: Equatable {
    /// Nothing: what was asked for is so already.
    case ignored
    /// The entry is there: update it.
    case update
    /// The entry is not there: create it.
    case create
    /// The entry is there and cannot be changed into this one: delete it, then create it.
    case recreate
    /// Its parent is not there: create it when that is.
    case waitForParent
    /// This node lacks its helper: create it without.
    case createWithoutHelper
    /// All of it is so but for the labels, which no rule of this node's has a use for.
    case labelsIgnored
    /// Nothing helps: counted and reported, tried again later and when the replica changes.
    case refused

    /// The most operations tried for one change of a replica.
    private static let maximumAttempts = 3

    /// Chooses by what was asked and errno, and gives up after a few attempts.
    ///
    /// - Parameters:
    ///   - hasParent: whether the request named a parent.
    ///   - hasHelper: whether it named a helper.
    init(
        _ operation: InjectOperation, _ errno: CInt, attempts: Int, hasParent: Bool = false,
        hasHelper: Bool = false
    ) {
        if operation == .create, errno == ENOENT, hasParent {
            self = .waitForParent
            return
        }
        guard attempts < Self.maximumAttempts else {
            self = .refused
            return
        }
        switch (operation, errno) {
        // ctnetlink_create_conntrack: the helper is looked up before anything else can be missing.
        case (.create, EOPNOTSUPP) where hasHelper: self = .createWithoutHelper
        // ctnetlink_change_conntrack: the labels are the last that it changes.
        case (.update, ENOSPC): self = .labelsIgnored
        // The same connection is there, or another holds the reply tuple: then the update says
        // ENOENT, the next create EEXIST again, and the attempts run out.
        case (.create, EEXIST): self = .update
        // Its parent is not there: it may be among those created with it.
        case (.create, ENOENT): self = .create
        case (.update, ENOENT): self = .create
        // EPERM: the entry is this node's own, with a timeout that is fixed.
        case (.update, EBUSY), (.update, EOPNOTSUPP), (.update, EPERM): self = .recreate
        case (.delete, ENOENT): self = .ignored
        default: self = .refused
        }
    }
}
