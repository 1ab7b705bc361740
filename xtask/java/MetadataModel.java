import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.ModelDescriptor;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Asks a model whose output has metadata columns, which only the Table API can declare.
 *
 * <p>The lines of the file that it is given are the endpoint of a server and the jar of the provider;
 * the model is one that takes an INT and returns it as {@code sum}, and that gets a NULL, too. Then it is
 * asked for one row after the other, which Flink cannot do with such columns.
 */
public class MetadataModel {
    public static void main(String[] arguments) throws Exception {
        List<String> lines = Files.readAllLines(Path.of(arguments[0]));
        String endpoint = lines.get(0);
        TableEnvironment environment = TableEnvironment.create(new Configuration());
        environment.executeSql("ADD JAR '" + lines.get(1) + "'");
        environment.createTemporaryModel(
                "m",
                ModelDescriptor.forProvider("triton")
                        .inputSchema(Schema.newBuilder().column("value", DataTypes.INT()).build())
                        .outputSchema(
                                Schema.newBuilder()
                                        .column("sum", DataTypes.INT())
                                        .columnByMetadata("error-string", DataTypes.STRING())
                                        .columnByMetadata(
                                                "code", DataTypes.INT(), "http-status-code")
                                        .columnByMetadata(
                                                "status", DataTypes.STRING(), "prediction-status")
                                        .build())
                        .option("endpoint", endpoint)
                        .option("model-name", "accumulate")
                        .option("sequence-id", "metadata")
                        .option("sequence-id-auto-increment", "true")
                        .option("on-error", "column")
                        .build());
        environment.executeSql(
                "CREATE TEMPORARY VIEW given AS SELECT * FROM (VALUES (1), (CAST(NULL AS INT)), (3))"
                        + " AS t(x)");
        TableResult result =
                environment.executeSql(
                        "SELECT x, `sum`, status, code, `error-string` FROM ML_PREDICT("
                                + "TABLE given, MODEL m, DESCRIPTOR(x))");
        System.out.println("job " + result.getJobClient().get().getJobID());
        result.print();
        try {
            environment.executeSql(
                    "SELECT x, status FROM ML_PREDICT("
                            + "TABLE given, MODEL m, DESCRIPTOR(x), MAP['async', 'false'])");
            System.out.println("not refused");
        } catch (Exception error) {
            Throwable cause = error;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            System.out.println("refused: " + cause.getMessage());
        }
    }
}
