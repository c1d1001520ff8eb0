//! The clients of one shard, by the reactor's name for their connection.

use tessera_io::ConnId;

use crate::front::Client;

/// A slab with the reactor's indices.
#[derive(Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    len: usize,
}

impl Clients {
    /// Number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a client under its `conn`.
    pub fn insert(&mut self, client: Client) {
        let index = client.conn.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        if self.slots[index].replace(Box::new(client)).is_none() {
            self.len += 1;
        }
    }

    /// The client of this connection, unless it is gone.
    #[inline]
    #[must_use]
    pub fn get(&self, conn: ConnId) -> Option<&Client> {
        self.slots
            .get(conn.index as usize)?
            .as_deref()
            .filter(|client| client.conn == conn)
    }

    /// The client of this connection, unless it is gone.
    #[inline]
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Client> {
        self.slots
            .get_mut(conn.index as usize)?
            .as_deref_mut()
            .filter(|client| client.conn == conn)
    }

    /// Removes a client.
    pub fn remove(&mut self, conn: ConnId) -> Option<Box<Client>> {
        self.get(conn)?;
        self.len -= 1;
        self.slots[conn.index as usize].take()
    }

    /// Places that clients have, or have had.
    #[must_use]
    pub fn places(&self) -> usize {
        self.slots.len()
    }

    /// The clients in these places.
    pub fn among(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = &Client> {
        let slots = self.slots.get(places).unwrap_or_default();
        slots.iter().filter_map(Option::as_deref)
    }

    /// All clients.
    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    /// All clients.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().filter_map(Option::as_deref_mut)
    }
}
