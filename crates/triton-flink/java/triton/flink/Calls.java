package triton.flink;

import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.BiConsumer;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * The calls of one open function, and the thread that takes their answers from Rust.
 *
 * <p>The thread is one of Java and a daemon. It waits in Rust, ends when the function is closed,
 * and also writes what Rust has for the log.
 *
 * <p>Rows that share requests go to Rust several at a time, because a call of it costs as much as
 * a row. They gather while that thread is on its way, which the first of them wakes; so no row waits
 * for another one to come.
 */
final class Calls {
    /** The call that opens the function; every other is the number of a row. */
    private static final long OPENING = -1;

    /** So many rows or bytes go to Rust without waiting for the thread. */
    private static final int MOST_ROWS = 128;

    private static final int MOST_BYTES = 1 << 16;

    private final long function;
    private final LogicalType[] outputs;
    private final BiConsumer<RowData, RowWriter> write;
    private final boolean gathers;
    private final Thread thread;

    /** Held while rows are handed over, so that they keep their order; taken before the other. */
    private final Object handing = new Object();
    /** Guards the fields below. */
    private final Object lock = new Object();

    private final PendingCalls<Call> pending = new PendingCalls<>();
    private RowWriter gathered = new RowWriter();
    private RowWriter handed = new RowWriter();
    private int gatheredRows;
    /** The number of the next row. */
    private long rows;
    /** Why the thread is gone although the function is open. */
    private Throwable broken;
    /** Whether the thread has to be woken where rows are gathered. */
    private boolean isWaiting;

    /** What the thread does each time that it comes by. */
    private volatile Runnable alongside = () -> {};

    /**
     * @param write appends what Rust reads of a row
     * @param oneByOne whether whoever asks waits for the answer before the next row
     */
    Calls(
            long function,
            BiConsumer<RowData, RowWriter> write,
            LogicalType[] outputs,
            String task,
            boolean oneByOne) {
        this.function = function;
        this.write = write;
        this.outputs = outputs;
        gathers = !oneByOne && NativeLibrary.gathers(function);
        thread = new Thread(this::takeAnswers, "triton answers for " + task);
        thread.setDaemon(true);
        thread.start();
    }

    /** Opens the function; an interrupt gives it up. */
    void open() throws InterruptedException, ExecutionException {
        Call opening = new Call(OPENING);
        Throwable error;
        synchronized (lock) {
            pending.add(OPENING, opening);
            error = broken;
        }
        NativeLibrary.open(function);
        if (error != null) {
            opening.completeExceptionally(error);
        }
        opening.get();
    }

    /** Lets the thread do something else each time that answers have come. */
    void alongside(Runnable work) {
        alongside = work;
    }

    /** Hands a row to Rust, which keeps the order in which this is called. */
    CompletableFuture<Collection<RowData>> predict(RowData row) {
        Call call;
        boolean isFull;
        boolean wakes;
        Throwable error;
        synchronized (lock) {
            int before = gathered.length();
            try {
                write.accept(row, gathered);
            } catch (Throwable problem) {
                // Nothing of it may come before the next row.
                gathered.truncate(before);
                throw problem;
            }
            call = new Call(rows++);
            pending.add(call.number, call);
            gatheredRows++;
            isFull = !gathers || gatheredRows >= MOST_ROWS || gathered.length() >= MOST_BYTES;
            wakes = !isFull && isWaiting;
            isWaiting &= !wakes;
            error = broken;
        }
        if (error != null) {
            // Either this sees it, or the thread has seen the call.
            failPending(error);
        } else if (isFull) {
            handOver();
        } else if (wakes) {
            NativeLibrary.wake(function);
        }
        return call;
    }

    /** Gives up the calls in flight and closes the function. */
    void close() {
        try {
            NativeLibrary.close(function);
        } finally {
            join();
            failPending(new TritonException("the function was closed before the row was answered"));
            NativeLog.write();
        }
    }

    /** Waits for the thread, so that none of this class loader outlives the task. */
    private void join() {
        try {
            thread.join();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    /** Hands over what has gathered. */
    private void handOver() {
        synchronized (handing) {
            RowWriter writer;
            long first;
            int count;
            synchronized (lock) {
                if (gatheredRows == 0) {
                    return;
                }
                writer = gathered;
                gathered = handed;
                gathered.clear();
                handed = writer;
                count = gatheredRows;
                gatheredRows = 0;
                first = rows - count;
            }
            try {
                NativeLibrary.predict(function, first, count, writer.buffer(), writer.length());
            } catch (Throwable error) {
                for (Call call : take(first, count)) {
                    if (call != null) {
                        call.completeExceptionally(error);
                    }
                }
            }
        }
    }

    private void takeAnswers() {
        try {
            for (byte[] events = next(); events != null; events = next()) {
                NativeLog.write();
                RowReader reader = new RowReader(events);
                while (reader.hasMore()) {
                    complete(reader);
                }
                alongside.run();
            }
        } catch (Throwable error) {
            // Nobody will complete the calls any more, those to come included.
            Throwable why =
                    new TritonException(
                            "the thread that takes the answers has failed: " + error, error);
            synchronized (lock) {
                broken = why;
            }
            failPending(why);
        }
    }

    private byte[] next() {
        boolean isIdle;
        do {
            handOver();
            synchronized (lock) {
                isIdle = gatheredRows == 0;
                isWaiting = isIdle;
            }
            // There can only come as many as Flink lets be in flight.
        } while (!isIdle);
        byte[] events = NativeLibrary.nextEvents(function);
        synchronized (lock) {
            isWaiting = false;
        }
        return events;
    }

    private void complete(RowReader reader) {
        long number = reader.readLong();
        switch (reader.readByte()) {
            case 0:
                completeOne(number, reader);
                break;
            case 1:
                TritonException error = new TritonException(reader.readText());
                for (Call call : take(number, 1)) {
                    if (call != null) {
                        call.completeExceptionally(error);
                    }
                }
                break;
            default:
                completeRun(number, reader);
                break;
        }
    }

    /** A call is answered with any number of rows. */
    private void completeOne(long number, RowReader reader) {
        Collection<RowData> answers = Collections.emptyList();
        if (number != OPENING) {
            RowData[] all = new RowData[reader.readInt()];
            for (int index = 0; index < all.length; index++) {
                all[index] = reader.readRow(outputs);
            }
            answers = Arrays.asList(all);
        }
        // Not before its answer was read: a call must not be forgotten where that fails.
        for (Call call : take(number, 1)) {
            if (call != null) {
                call.complete(answers);
            }
        }
    }

    /** Calls whose numbers follow each other are each answered with a row. */
    private void completeRun(long first, RowReader reader) {
        Call[] calls = take(first, reader.readInt());
        int next = 0;
        try {
            for (; next < calls.length; next++) {
                RowData answer = reader.readRow(outputs);
                if (calls[next] != null) {
                    calls[next].complete(Collections.singletonList(answer));
                }
            }
        } catch (Throwable error) {
            for (; next < calls.length; next++) {
                if (calls[next] != null) {
                    calls[next].completeExceptionally(error);
                }
            }
            throw error;
        }
    }

    /** The calls of these numbers; null for one that was given up. */
    private Call[] take(long first, int count) {
        Call[] calls = new Call[count];
        synchronized (lock) {
            for (int index = 0; index < count; index++) {
                calls[index] = pending.take(first + index);
            }
        }
        return calls;
    }

    private void failPending(Throwable error) {
        List<Call> calls;
        synchronized (lock) {
            calls = pending.takeAll();
        }
        for (Call call : calls) {
            call.completeExceptionally(error);
        }
    }

    /** An answer to come; cancelling it cancels the request. */
    private final class Call extends CompletableFuture<Collection<RowData>> {
        private final long number;

        Call(long number) {
            this.number = number;
        }

        @Override
        public boolean cancel(boolean interrupt) {
            take(number, 1);
            // What Rust does not have yet it could not give up.
            handOver();
            NativeLibrary.cancel(function, number);
            return super.cancel(interrupt);
        }
    }
}
