//! The native methods of the class `triton.flink.NativeLibrary`, and nothing else.
//!
//! Each catches panics, which become exceptions like every other failure.

#![expect(
    clippy::needless_pass_by_value,
    reason = "the macro of `jni` hands over the references of Java by value"
)]

use jni::errors::ErrorPolicy;
use jni::objects::{JByteArray, JClass, JDoubleArray};
use jni::strings::JNIString;
use jni::sys::{jboolean, jdouble, jint, jlong};
use jni::{Env, NativeMethod, jni_str, native_method};

use crate::description::Description;
use crate::failure::Failure;
use crate::flink_metrics::Shown;
use crate::function::Function;
use crate::pointers::Place;
use crate::wire::{put_bytes, put_count};
use crate::{flink_metrics, logging, registry, replica_metrics, task};

type Result<T> = std::result::Result<T, Failure>;

/// Throws a `TritonException`, whether a method failed or panicked.
struct ThrowTritonException;

impl<T: Default> ErrorPolicy<T, Failure> for ThrowTritonException {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        (): &mut (),
        failure: Failure,
    ) -> jni::errors::Result<T> {
        if !env.exception_check() {
            let message = JNIString::from(failure.to_string());
            // That an exception is pending now is what was wanted.
            let _ = env.throw_new(jni_str!("triton/flink/TritonException"), message);
        }
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        env: &mut Env<'unowned_env_local>,
        captures: &mut (),
        payload: Box<dyn std::any::Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        Self::on_error(env, captures, Failure::of_panic(&*payload))
    }
}

macro_rules! native_methods {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)+) => { $(
        const _: NativeMethod<'_> = native_method! {
            java_type = "triton.flink.NativeLibrary",
            static extern fn $name($($argument: $type),*) $(-> $result)?,
            error_policy = ThrowTritonException,
        };
    )+ };
}

// Checked against the functions below by the compiler, and against Java when they are called.
native_methods! {
    fn start();
    fn set_log_level(level: jint);
    fn take_log() -> [jbyte];
    fn check(description: [jbyte]);
    fn create(description: [jbyte], task: [jbyte]) -> jlong;
    fn shared_ids(function: jlong) -> [jbyte];
    fn open(function: jlong);
    fn gathers(function: jlong) -> jboolean;
    fn hides_values(function: jlong) -> jboolean;
    fn predict(function: jlong, first: jlong, count: jint, rows: [jbyte], length: jint);
    fn wake(function: jlong);
    fn cancel(function: jlong, row_number: jlong);
    fn next_events(function: jlong) -> [jbyte];
    fn close(function: jlong);
    fn metrics() -> [jbyte];
    fn metric(function: jlong, index: jint) -> jdouble;
    fn latest(function: jlong, index: jint) -> [jdouble];
    fn replica_metrics() -> [jbyte];
    fn replicas(function: jlong) -> [jbyte];
    fn replica_metric(model: [jbyte], replica: [jbyte], index: jint) -> jdouble;
    fn replica_latest(model: [jbyte], replica: [jbyte], index: jint) -> [jdouble];
}

/// Makes the library ready; called once, when it is loaded.
fn start(_: &mut Env<'_>, _: JClass<'_>) -> Result<()> {
    logging::start();
    replica_metrics::start();
    Ok(())
}

/// Says up to which level Flink's log takes lines.
fn set_log_level(_: &mut Env<'_>, _: JClass<'_>, level: jint) -> Result<()> {
    logging::set_level(u8::try_from(level).unwrap_or_default());
    Ok(())
}

/// The lines for the log that have gathered.
fn take_log<'local>(env: &mut Env<'local>, _: JClass<'local>) -> Result<JByteArray<'local>> {
    Ok(env.byte_array_from_slice(&logging::take()?)?)
}

/// Checks options and columns while a query is planned; throws everything that is wrong.
fn check(env: &mut Env<'_>, _: JClass<'_>, description: JByteArray<'_>) -> Result<()> {
    Description::check(&env.convert_byte_array(description)?)
}

/// Makes a function, which is not open, and gives it a number.
fn create(
    env: &mut Env<'_>,
    _: JClass<'_>,
    description: JByteArray<'_>,
    task: JByteArray<'_>,
) -> Result<jlong> {
    let environment = |name: &str| std::env::var(name).ok();
    let place = Place::Subtask(&environment);
    let description = Description::read(&env.convert_byte_array(description)?, place)?;
    let subtask = task::read(&env.convert_byte_array(task)?)?;
    Ok(registry::add(Function::new(description, subtask)?).cast_signed())
}

/// What names the sequence IDs that others may send as well, and what to do where they do; empty where
/// nobody can.
fn shared_ids<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    function: jlong,
) -> Result<JByteArray<'local>> {
    let function = registry::get(function.cast_unsigned())?;
    let mut buffer = Vec::new();
    if let Some(shared) = function.shared_ids() {
        put_bytes(&mut buffer, shared.ids.as_bytes())?;
        put_bytes(&mut buffer, shared.advice.as_bytes())?;
    }
    Ok(env.byte_array_from_slice(&buffer)?)
}

/// Begins to open a function.
fn open(_: &mut Env<'_>, _: JClass<'_>, function: jlong) -> Result<()> {
    registry::get(function.cast_unsigned())?.open()
}

/// Whether rows share requests, so that they may come here several at a time.
fn gathers(_: &mut Env<'_>, _: JClass<'_>, function: jlong) -> Result<jboolean> {
    Ok(registry::get(function.cast_unsigned())?.gathers())
}

/// Whether errors keep the values of rows, or their keys, to themselves.
fn hides_values(_: &mut Env<'_>, _: JClass<'_>, function: jlong) -> Result<jboolean> {
    Ok(registry::get(function.cast_unsigned())?.hides_values())
}

/// Begins to answer the rows in the first `length` bytes of `rows`, whose numbers go on from `first`.
fn predict(
    env: &mut Env<'_>,
    _: JClass<'_>,
    function: jlong,
    first: jlong,
    count: jint,
    rows: JByteArray<'_>,
    length: jint,
) -> Result<()> {
    let mut bytes = vec![0_i8; usize::try_from(length).unwrap_or_default()];
    rows.get_region(env, 0, &mut bytes)?;
    let bytes: Vec<u8> = bytes.into_iter().map(i8::cast_unsigned).collect();
    let count = usize::try_from(count).unwrap_or_default();
    let function = registry::get(function.cast_unsigned())?;
    function.predict(first.cast_unsigned(), count, bytes.into())
}

/// Lets the thread that waits for answers return, if there are none.
fn wake(_: &mut Env<'_>, _: JClass<'_>, function: jlong) -> Result<()> {
    if let Some(function) = registry::find(function.cast_unsigned()) {
        function.events().call();
    }
    Ok(())
}

/// Gives a row up.
fn cancel(_: &mut Env<'_>, _: JClass<'_>, function: jlong, row_number: jlong) -> Result<()> {
    if let Some(function) = registry::find(function.cast_unsigned()) {
        function.cancel(row_number.cast_unsigned());
    }
    Ok(())
}

/// Waits for answers; null once the function is closed.
fn next_events<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    function: jlong,
) -> Result<JByteArray<'local>> {
    let Some(function) = registry::find(function.cast_unsigned()) else {
        return Ok(JByteArray::default());
    };
    let events = function
        .events()
        .next(|bytes| env.byte_array_from_slice(bytes));
    Ok(events.transpose()?.unwrap_or_default())
}

/// Gives up what is in flight and closes the function; doing it twice does nothing.
fn close(_: &mut Env<'_>, _: JClass<'_>, function: jlong) -> Result<()> {
    match registry::remove(function.cast_unsigned()) {
        Some(function) => function.close(),
        None => Ok(()),
    }
}

/// The name and kind of each metric.
fn metrics<'local>(env: &mut Env<'local>, _: JClass<'local>) -> Result<JByteArray<'local>> {
    Ok(env.byte_array_from_slice(&names(flink_metrics::SHOWN)?)?)
}

fn names(all: &[Shown]) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    put_count(&mut buffer, all.len())?;
    for shown in all {
        put_bytes(&mut buffer, shown.name.as_bytes())?;
        buffer.push(shown.kind as u8);
    }
    Ok(buffer)
}

/// The value of a counter or gauge, or how many values a histogram has had; not a number when the
/// function is closed.
fn metric(_: &mut Env<'_>, _: JClass<'_>, function: jlong, index: jint) -> Result<jdouble> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let function = registry::find(function.cast_unsigned());
    let value = function.and_then(|function| function.recorder().value(index));
    Ok(value.unwrap_or(f64::NAN))
}

/// The latest values of a histogram, the smallest first; none when the function is closed.
fn latest<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    function: jlong,
    index: jint,
) -> Result<JDoubleArray<'local>> {
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let function = registry::find(function.cast_unsigned());
    let values = function.map(|function| function.recorder().latest(index));
    let values = values.unwrap_or_default();
    let array = JDoubleArray::new(env, values.len())?;
    array.set_region(env, 0, &values)?;
    Ok(array)
}

/// The name and kind of each metric of a replica.
fn replica_metrics<'local>(env: &mut Env<'local>, _: JClass<'local>) -> Result<JByteArray<'local>> {
    Ok(env.byte_array_from_slice(&names(&replica_metrics::SHOWN)?)?)
}

/// The model of a function, and what is known so far of the replicas that serve it; no replicas
/// where the function is closed.
fn replicas<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    function: jlong,
) -> Result<JByteArray<'local>> {
    let mut buffer = Vec::new();
    if let Some(function) = registry::find(function.cast_unsigned()) {
        put_bytes(&mut buffer, function.model().as_bytes())?;
        for replica in function.replicas() {
            put_bytes(&mut buffer, replica.as_bytes())?;
        }
    }
    Ok(env.byte_array_from_slice(&buffer)?)
}

/// As [`metric`], of a replica.
fn replica_metric(
    env: &mut Env<'_>,
    _: JClass<'_>,
    model: JByteArray<'_>,
    replica: JByteArray<'_>,
    index: jint,
) -> Result<jdouble> {
    let (model, replica) = (text(env, &model)?, text(env, &replica)?);
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(replica_metrics::value(&model, &replica, index).unwrap_or(f64::NAN))
}

/// As [`latest`], of a replica.
fn replica_latest<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    model: JByteArray<'local>,
    replica: JByteArray<'local>,
    index: jint,
) -> Result<JDoubleArray<'local>> {
    let (model, replica) = (text(env, &model)?, text(env, &replica)?);
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let values = replica_metrics::latest(&model, &replica, index);
    let array = JDoubleArray::new(env, values.len())?;
    array.set_region(env, 0, &values)?;
    Ok(array)
}

fn text(env: &mut Env<'_>, bytes: &JByteArray<'_>) -> Result<String> {
    Ok(String::from_utf8_lossy(&env.convert_byte_array(bytes)?).into_owned())
}
