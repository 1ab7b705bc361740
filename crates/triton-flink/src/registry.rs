//! The open functions by number: what Java holds is a number and never an address, so that a
//! function which is closed already is an error and not a crash.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::failure::Failure;
use crate::function::Function;

static FUNCTIONS: RwLock<BTreeMap<u64, Arc<Function>>> = RwLock::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Keeps a function and gives it a number.
pub(crate) fn add(function: Function) -> u64 {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut functions = FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner);
    functions.insert(number, Arc::new(function));
    number
}

/// The function with this number, if it is not closed.
pub(crate) fn find(number: u64) -> Option<Arc<Function>> {
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    functions.get(&number).map(Arc::clone)
}

/// The function with this number.
pub(crate) fn get(number: u64) -> Result<Arc<Function>, Failure> {
    find(number).ok_or_else(|| Failure::new("the function is not open"))
}

/// Takes the function with this number away; `None` if it is closed already.
pub(crate) fn remove(number: u64) -> Option<Arc<Function>> {
    let mut functions = FUNCTIONS.write().unwrap_or_else(PoisonError::into_inner);
    functions.remove(&number)
}

/// Some function whose thread of Java can be called.
pub(crate) fn any() -> Option<Arc<Function>> {
    let functions = FUNCTIONS.read().unwrap_or_else(PoisonError::into_inner);
    functions.values().next().map(Arc::clone)
}
