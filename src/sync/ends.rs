//! What the ends of all channels have in common: how they look, and how messages are iterated over.

/// `Debug` for the `Sender` and the `Receiver` of a module, and the iterators over what is received. Types and trait
/// impls only.
macro_rules! received {
    () => {
        impl<T> std::fmt::Debug for Sender<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Sender")
                    .field("len", &self.len())
                    .finish_non_exhaustive()
            }
        }

        impl<T> std::fmt::Debug for Receiver<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("Receiver")
                    .field("len", &self.len())
                    .finish_non_exhaustive()
            }
        }

        /// The messages of a channel; see [`Receiver::iter`].
        #[derive(Debug)]
        pub struct Iter<'a, T>(&'a Receiver<T>);

        /// The messages that are there; see [`Receiver::try_iter`].
        #[derive(Debug)]
        pub struct TryIter<'a, T>(&'a Receiver<T>);

        /// The messages of a channel, with its receiver.
        #[derive(Debug)]
        pub struct IntoIter<T>(Receiver<T>);

        impl<T> Iterator for Iter<'_, T> {
            type Item = T;

            #[inline(always)]
            fn next(&mut self) -> Option<T> {
                self.0.recv().ok()
            }
        }

        impl<T> Iterator for TryIter<'_, T> {
            type Item = T;

            fn next(&mut self) -> Option<T> {
                self.0.try_recv().ok()
            }
        }

        impl<T> Iterator for IntoIter<T> {
            type Item = T;

            #[inline(always)]
            fn next(&mut self) -> Option<T> {
                self.0.recv().ok()
            }
        }

        impl<'a, T> IntoIterator for &'a Receiver<T> {
            type Item = T;
            type IntoIter = Iter<'a, T>;

            fn into_iter(self) -> Iter<'a, T> {
                self.iter()
            }
        }

        impl<T> IntoIterator for Receiver<T> {
            type Item = T;
            type IntoIter = IntoIter<T>;

            fn into_iter(self) -> IntoIter<T> {
                IntoIter(self)
            }
        }
    };
}

pub(in crate::sync) use received;
