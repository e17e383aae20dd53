//! What a select can send to.

use crate::hub::Hub;
use crate::sync::channel::{Sender, TrySendError};

/// The end of a channel that messages go in: that of [`channel`](crate::sync::channel), and that of
/// [`remote::channel`](crate::sync::remote::channel).
pub trait Inlet {
    /// What it takes.
    type Message;
    /// Puts a message, if there is room or somebody who takes it. `called`: it was called for this.
    #[doc(hidden)]
    fn put(&self, message: Self::Message, called: bool) -> Result<(), TrySendError<Self::Message>>;
    /// Stands in line with a message while `rest` runs, which parks. Afterwards the message is gone if it was sent,
    /// and only then; otherwise, whether it was called to try again.
    #[doc(hidden)]
    fn stand(&self, message: &mut Option<Self::Message>, rest: &mut dyn FnMut()) -> bool;
    /// It was called, and does not send.
    #[doc(hidden)]
    fn pass_on(&self);
}

/// Whoever takes a message takes it out of the frame of the one that is parked, so that nobody is called to try.
impl<T> Inlet for Sender<T> {
    type Message = T;

    #[inline]
    fn put(&self, message: T, _: bool) -> Result<(), TrySendError<T>> {
        self.try_send(message)
    }

    fn stand(&self, message: &mut Option<T>, rest: &mut dyn FnMut()) -> bool {
        let senders = self.chan().senders();
        senders.stand(Hub::here(), message, rest);
        false
    }

    fn pass_on(&self) {}
}
