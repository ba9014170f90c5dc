tomcat says <%= 6 * 7 %>
