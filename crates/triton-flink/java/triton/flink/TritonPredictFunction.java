package triton.flink;

import java.util.Collection;
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
        String job = context.getMetricGroup().getAllVariables().getOrDefault("<job_id>", "");
        try {
            long function =
                    NativeLibrary.create(
                            description,
                            task.getIndexOfThisSubtask(),
                            task.getNumberOfParallelSubtasks(),
                            task.getAttemptNumber(),
                            job);
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

    @Override
    public void close() {
        if (calls != null) {
            calls.close();
            calls = null;
        }
    }
}
