package triton.flink;

import java.io.Serializable;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.SpecializedFunction.SpecializedContext;
import org.apache.flink.table.types.logical.LogicalType;

/**
 * What a function on a model does, whichever way Flink calls it: it hands rows to Rust and gets
 * their answers from {@link Calls}.
 */
final class RowFunction implements Serializable {
    private static final long serialVersionUID = 1L;

    private final byte[] description;
    private final String[] names;
    private final LogicalType[] inputs;
    private final LogicalType[] outputs;
    /** The types of the arguments, which can be narrower ones than the inputs. */
    private final LogicalType[] given;
    /** Whether whoever asks waits for the answer before the next row. */
    private final boolean oneByOne;

    private transient RowWriter.Field[] fields;
    private transient Calls calls;
    private transient NativeMetrics metrics;
    private transient SharedIds ids;
    private transient boolean hidesValues;

    RowFunction(
            byte[] description,
            String[] names,
            LogicalType[] inputs,
            LogicalType[] outputs,
            LogicalType[] given,
            boolean oneByOne) {
        this.description = description;
        this.names = names;
        this.inputs = inputs;
        this.outputs = outputs;
        this.given = given;
        this.oneByOne = oneByOne;
    }

    /** This function for what a query really hands over, while it is planned. */
    RowFunction specialize(SpecializedContext context) {
        LogicalType[] arguments =
                ArgumentTypes.check(names, inputs, context.getCallContext().getArgumentDataTypes());
        return new RowFunction(description, names, inputs, outputs, arguments, oneByOne);
    }

    void open(FunctionContext context) throws Exception {
        NativeLibrary.load();
        fields = RowWriter.fields(given, inputs);
        TaskInfo task = context.getTaskInfo();
        try {
            long function = NativeLibrary.create(description, describe(task, context));
            hidesValues = NativeLibrary.hidesValues(function);
            try {
                String name = task.getTaskNameWithSubtasks();
                calls = new Calls(function, this::write, outputs, name, oneByOne);
            } finally {
                if (calls == null) {
                    NativeLibrary.close(function);
                }
            }
            ids = SharedIds.note(function, operator(context));
            calls.open();
            metrics = new NativeMetrics(context.getMetricGroup(), function);
            calls.alongside(metrics::lookForReplicas);
        } catch (Throwable error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            try {
                close();
            } catch (Throwable second) {
                // What went wrong first is what counts.
                cause.addSuppressed(second);
            }
            if (cause instanceof Error) {
                throw (Error) cause;
            }
            throw (Exception) cause;
        } finally {
            NativeLog.write();
        }
    }

    CompletableFuture<Collection<RowData>> predict(RowData row) {
        try {
            return calls.predict(row);
        } finally {
            if (hidesValues) {
                forget(row);
            }
        }
    }

    /**
     * Flink makes a row of the arguments of each call, and puts it into the message of its failure,
     * whatever ours says. Nobody reads it once it is written.
     */
    private static void forget(RowData row) {
        if (row instanceof GenericRowData) {
            for (int index = 0; index < row.getArity(); index++) {
                ((GenericRowData) row).setField(index, null);
            }
        }
    }

    private void write(RowData row, RowWriter writer) {
        writer.writeRow(row, fields);
    }

    void close() {
        try {
            if (metrics != null) {
                metrics.keep();
                metrics = null;
            }
            if (ids != null) {
                ids.close();
                ids = null;
            }
        } finally {
            if (calls != null) {
                Calls closing = calls;
                calls = null;
                closing.close();
            }
        }
    }

    /** What this operator is called among those of all jobs. */
    private static String operator(FunctionContext context) {
        Map<String, String> names = context.getMetricGroup().getAllVariables();
        return String.format(
                "operator %s of job %s", names.get("<operator_id>"), names.get("<job_id>"));
    }

    private static byte[] describe(TaskInfo task, FunctionContext context) {
        Map<String, String> names = context.getMetricGroup().getAllVariables();
        RowWriter description = new RowWriter();
        description.writeInt(task.getIndexOfThisSubtask());
        description.writeInt(task.getNumberOfParallelSubtasks());
        description.writeInt(task.getAttemptNumber());
        description.writeText(names.get("<job_id>"));
        description.writeText(names.get("<operator_id>"));
        description.writeText(names.get("<task_attempt_id>"));
        return description.toBytes();
    }
}
