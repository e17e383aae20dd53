//! Conversions that all types with a descriptor have.

/// What std has for each of its types with a descriptor: conversions from and to std's type and plain
/// descriptors, borrowing the descriptor, `Debug`. Trait impls only.
macro_rules! descriptor {
    ($ours:ty, $theirs:ty, $of:path) => {
        /// Takes it over; it does not block from now on.
        impl From<$theirs> for $ours {
            fn from(thing: $theirs) -> $ours {
                // This fails for what is no descriptor; then so does every call on it, which says so.
                let _ = crate::sys::fd::set_nonblocking(&thing, true);
                let ours = $of(thing);
                // Others may have duplicates.
                ours.source.exposed();
                ours
            }
        }

        /// Gives it back; it blocks again, unless it was set not to.
        impl From<$ours> for $theirs {
            fn from(ours: $ours) -> $theirs {
                let nonblocking = ours.source.is_nonblocking();
                let thing = ours.source.into_thing();
                let _ = crate::sys::fd::set_nonblocking(&thing, nonblocking);
                thing
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> $ours {
                <$theirs>::from(fd).into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(ours: $ours) -> std::os::fd::OwnedFd {
                <$theirs>::from(ours).into()
            }
        }

        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.source.exposed().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(self.source.exposed())
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::IntoRawFd::into_raw_fd(<$theirs>::from(self))
            }
        }

        impl crate::hub::io::Watchable for $ours {
            fn watched(&self) -> crate::hub::io::Watched<'_> {
                self.source.watched()
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.source.thing(), f)
            }
        }
    };
}
pub(crate) use descriptor;
