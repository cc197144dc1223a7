//! A set that gives each member a place, from which it is taken out in constant time.

/// Members by place. A place is used again after its member has left.
pub(crate) struct Children<T> {
    entries: Vec<Entry<T>>,
    /// The first free place; [`NOWHERE`] if all are taken.
    free: u32,
    len: u32,
}

enum Entry<T> {
    Taken(T),
    /// The next free place.
    Free(u32),
}

/// No place.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Memory for so many members is kept when all have left.
const KEPT: usize = 64;

impl<T> Children<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: NOWHERE, len: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// All places lie below this.
    pub(crate) fn end(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn insert(&mut self, member: T) -> u32 {
        self.len += 1;
        let place = self.free;
        if place == NOWHERE {
            let end = u32::try_from(self.entries.len()).ok().filter(|&end| end != NOWHERE);
            self.entries.push(Entry::Taken(member));
            return end.expect("four billion children of one context");
        }
        match std::mem::replace(&mut self.entries[place as usize], Entry::Taken(member)) {
            Entry::Free(next) => self.free = next,
            Entry::Taken(_) => unreachable!("a free place is free"),
        }
        place
    }

    /// The member that has this place.
    pub(crate) fn get_mut(&mut self, place: u32) -> &mut T {
        match &mut self.entries[place as usize] {
            Entry::Taken(member) => member,
            Entry::Free(_) => unreachable!("who asks for a place knows that it is taken"),
        }
    }

    /// Takes out who has this place.
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let entry = std::mem::replace(&mut self.entries[place as usize], Entry::Free(self.free));
        let Entry::Taken(member) = entry else { unreachable!("a member leaves once") };
        self.free = place;
        self.len -= 1;
        if self.len == 0 && self.entries.capacity() > KEPT {
            *self = Self::new();
        }
        member
    }

    /// The members whose places lie in `from..to`.
    pub(crate) fn range(&self, from: usize, to: usize) -> impl Iterator<Item = &T> {
        self.entries[from..to.min(self.entries.len())].iter().filter_map(|entry| match entry {
            Entry::Taken(member) => Some(member),
            Entry::Free(_) => None,
        })
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;
    use std::collections::BTreeMap;

    /// Against a map: random comings and goings.
    #[test]
    fn a_place_is_ones_own_until_one_leaves() {
        let rng = Rng::new(5);
        let (mut children, mut twin) = (Children::new(), BTreeMap::new());
        for n in 0..10_000_u32 {
            if twin.is_empty() || rng.below(100) < (if n < 5_000 { 60 } else { 40 }) {
                let place = children.insert(n);
                assert_eq!(twin.insert(place, n), None);
            } else {
                let nth = rng.below(twin.len() as u32) as usize;
                let place = *twin.keys().nth(nth).unwrap();
                assert_eq!(Some(children.remove(place)), twin.remove(&place));
            }
            assert_eq!(children.is_empty(), twin.is_empty());
        }
        let halves = children.range(0, 7).chain(children.range(7, usize::MAX)).copied();
        assert_eq!(halves.collect::<Vec<_>>(), twin.values().copied().collect::<Vec<_>>());
    }

    #[test]
    fn memory_goes_when_all_have_left() {
        let mut children = Children::new();
        let places: Vec<_> = (0..1_000).map(|n| children.insert(n)).collect();
        places.into_iter().for_each(|place| {
            children.remove(place);
        });
        assert_eq!((children.end(), children.entries.capacity()), (0, 0));
    }
}
