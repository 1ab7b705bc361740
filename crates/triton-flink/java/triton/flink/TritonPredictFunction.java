package triton.flink;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.types.logical.LogicalType;

/** Asks the model for each row: hands the row to Rust and gets the answer from {@link Calls}. */
public class TritonPredictFunction extends AsyncPredictFunction {
    private static final long serialVersionUID = 1L;

    private final byte[] description;
    private final LogicalType[] inputs;
    private final LogicalType[] outputs;

    private transient RowData.FieldGetter[] fields;
    private transient RowWriter writer;
    private transient Calls calls;

    TritonPredictFunction(byte[] description, LogicalType[] inputs, LogicalType[] outputs) {
        this.description = description;
        this.inputs = inputs;
        this.outputs = outputs;
    }

    @Override
    public void open(FunctionContext context) throws Exception {
        NativeLibrary.load();
        fields = new RowData.FieldGetter[inputs.length];
        for (int index = 0; index < fields.length; index++) {
            fields[index] = RowData.createFieldGetter(inputs[index], index);
        }
        writer = new RowWriter();
        TaskInfo task = context.getTaskInfo();
        try {
            long function = NativeLibrary.create(description, describe(task, context));
            calls = new Calls(function, outputs, task.getTaskNameWithSubtasks());
            calls.open();
            NativeMetrics.register(context.getMetricGroup(), function);
        } catch (ExecutionException error) {
            close();
            throw (Exception) error.getCause();
        } catch (Exception error) {
            close();
            throw error;
        } finally {
            NativeLog.write();
        }
    }

    @Override
    public CompletableFuture<Collection<RowData>> asyncPredict(RowData row) {
        writer.clear();
        writer.writeRow(row, inputs, fields);
        return calls.predict(writer);
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

    @Override
    public void close() {
        if (calls != null) {
            calls.close();
            calls = null;
        }
    }
}
