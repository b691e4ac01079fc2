package yifang;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.apache.catalina.startup.Tomcat;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * A FHIR R4 server for the gateway's delivery tests and benchmarks: http://127.0.0.1:PORT/fhir on the database of Storage, referential integrity on.
 * Prints "ready URL" on standard output once it answers; ends with a stack trace and a non-zero code when it cannot start.
 */
public final class HapiServer {
	private HapiServer() {}

	public static void main(String[] args) throws Exception {
		if (args.length != 1) {
			System.err.println("usage: HapiServer PORT");
			System.exit(2);
		}
		var beans = new AnnotationConfigApplicationContext(Storage.class);
		var tomcat = new Tomcat();
		tomcat.setPort(Integer.parseInt(args[0]));
		tomcat.getConnector().setProperty("address", "127.0.0.1");
		tomcat.getConnector().setThrowOnFailure(true);
		var context = tomcat.addContext("", null);
		Tomcat.addServlet(context, "fhir", servlet(beans)).setLoadOnStartup(1);
		context.addServletMappingDecoded("/fhir/*", "fhir");
		try {
			tomcat.start();
		} catch (Exception fault) { // the pool's threads would keep a server alive that never listens
			fault.printStackTrace();
			System.exit(1);
		}
		System.out.println("ready http://127.0.0.1:" + tomcat.getConnector().getLocalPort() + "/fhir");
		tomcat.getServer().await();
	}

	private static RestfulServer servlet(AnnotationConfigApplicationContext beans) {
		var server = new RestfulServer(beans.getBean(FhirContext.class));
		server.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
		server.registerProvider(beans.getBean(IJpaSystemProvider.class));
		server.setServerConformanceProvider(new JpaCapabilityStatementProvider(
				server,
				beans.getBean(IFhirSystemDao.class),
				beans.getBean(JpaStorageSettings.class),
				beans.getBean(ISearchParamRegistry.class),
				beans.getBean(IValidationSupport.class)));
		server.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
		server.setDefaultResponseEncoding(EncodingEnum.JSON);
		return server;
	}
}
