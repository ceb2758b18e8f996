// Looking.swift - opening a store to look at it: whoever looks gives back what a dead worker held.

internal import SpoolJobs
internal import SpoolThreads

extension Store {
    /// Opens a store, made if it is missing, and warns of what was found in its place.
    static func open(_ path: String, warningOn screen: Screen) throws(SpoolError) -> Store {
        let store = try open(path, .create)
        if let notice = store.notice { screen.warn(notice) }
        return store
    }
}

enum Looking {
    /// Opens a store that must be there. Jobs of workers that died come back first, so that nothing is
    /// shown as running that nobody runs; a file that cannot be written is shown as it is.
    static func open(_ path: String) throws(SpoolError) -> Store {
        do throws(SpoolError) {
            let store = try Store.open(path, .existing)
            try store.recover(now: .now())
            return store
        } catch {
            switch error {
            case .readOnly, .notPermitted, .cannotCreate, .diskFull:
                return try Store.open(path, .readOnly)
            default: throw error
            }
        }
    }
}
